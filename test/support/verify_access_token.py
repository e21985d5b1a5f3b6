"""Verifies an access token by nothing but RFC 7515, RFC 9068, FIPS 186-5 and the published keys, with the standard library alone.

usage: verify_access_token.py <address of the keys> <issuer> <audience> <seconds since 1970>, with the token on standard input.
Prints the claims; ends with 1 and a reason for a token that does not count.
"""
import base64
import hashlib
import json
import sys
import urllib.request

# P-256, SP 800-186 section 3.2.1.3
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = P - 3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def add(one, two):
    if one is None or two is None:
        return one or two
    if one[0] == two[0]:
        if (one[1] + two[1]) % P == 0:
            return None
        slope = (3 * one[0] ** 2 + A) * pow(2 * one[1], -1, P)
    else:
        slope = (two[1] - one[1]) * pow(two[0] - one[0], -1, P)
    x = (slope**2 - one[0] - two[0]) % P
    return x, (slope * (one[0] - x) - one[1]) % P


def times(number, point):
    result = None
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def is_signed(message, signature, key):
    point = tuple(int.from_bytes(decoded(key[name]), "big") for name in ("x", "y"))
    if (point[1] ** 2 - point[0] ** 3 - A * point[0] - B) % P != 0 or len(signature) != 64:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    inverse = pow(s, -1, N)
    found = add(times(digest * inverse % N, G), times(r * inverse % N, point))
    return found is not None and found[0] % N == r


def main():
    address, issuer, audience, now = sys.argv[1:]
    head, body, signature = sys.stdin.read().strip().split(".")
    header, claims = json.loads(decoded(head)), json.loads(decoded(body))
    keys = json.load(urllib.request.urlopen(address))["keys"]
    key = next((each for each in keys if each["kid"] == header["kid"]), None)
    if header["typ"] != "at+jwt" or header["alg"] != "ES256":
        sys.exit("another type")
    if key is None or key["kty"] != "EC" or key["crv"] != "P-256" or key["alg"] != "ES256":
        sys.exit("no such key")
    if not is_signed(f"{head}.{body}".encode(), decoded(signature), key):
        sys.exit("wrong signature")
    if claims["iss"] != issuer or claims["aud"] != audience or claims["exp"] <= int(now):
        sys.exit("wrong claims")
    print(json.dumps(claims))


main()
