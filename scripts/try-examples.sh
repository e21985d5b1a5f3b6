#!/usr/bin/env bash
# scripts/try-examples.sh <folder>: starts the examples blog and saas on databases in the folder, and checks what each person may do there.
set -euo pipefail
work="$1"
port=3978
url="http://localhost:$port"

serve() {
  DATABASE_URL="file:$work/$1.db" PORT="$port" node "examples/$1/app.js" > "$work/$1.log" &
  example=$!
  for _ in $(seq 50); do curl -s "$url/" >/dev/null && break; sleep 0.2; done
}
stop() { kill "$example"; wait "$example"; }
sign_in() {
  curl -fsS -o /dev/null -c "$work/$1.jar" -H 'Content-Type: application/json' \
    -d "{\"login\":\"$1@example.com\",\"password\":\"tuna swims in the morning\"}" "$url/auth/login"
}
# expect STATUS PERSON METHOD PATH [BODY]: the answer is left in $work/answer
expect() {
  local status
  status="$(curl -s -o "$work/answer" -w '%{http_code}' -b "$work/$2.jar" -X "$3" \
    ${5:+-H 'Content-Type: application/json' -d "$5"} "$url$4")"
  [[ "$status" == "$1" ]] || { echo "$2: $3 $4 answered $status instead of $1"; cat "$work/answer"; kill "$example"; exit 1; }
}
field() { node -pe "JSON.parse(require('fs').readFileSync('$work/answer', 'utf8')).$1"; }

serve blog
for person in ada bob eddie mo vera; do sign_in "$person"; done
text='{"title":"Hello","text":"First post","isPublic":true}'
expect 403 vera POST /posts "$text"
expect 201 ada POST /posts "$text"
post="/posts/$(field id)"
expect 200 vera GET "$post"
expect 403 bob PUT "$post" "$text"
expect 200 ada PUT "$post" "$text"
expect 200 eddie PUT "$post" "$text"
expect 403 eddie DELETE "$post"
expect 204 mo DELETE "$post"
stop

serve saas
for person in olive mia otto; do sign_in "$person"; done
expect 200 olive GET /orgs
org="/api/orgs/$(field 'items[0].id')"
expect 200 olive GET "$org/projects"
project="/api/projects/$(field 'items[0].id')"
expect 200 mia GET "$project"
expect 403 mia PATCH "$project" '{"name":"Mine"}'
expect 404 otto GET "$project"
expect 404 otto POST "$org/projects" '{"name":"Mine"}'
expect 200 otto GET "$org/projects"
[[ "$(field items.length)" == 0 ]]
expect 201 olive POST "$project/people" '{"email":"otto@example.com","role":"project_admin"}'
expect 200 otto PATCH "$project" '{"name":"Sprat"}'
expect 201 olive POST "$org/projects" '{"name":"Cod"}'
expect 204 olive DELETE "$project"
expect 404 olive GET "$project"
stop
echo 'the examples blog and saas do what their pages say'
