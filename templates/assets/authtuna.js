// Small helps for people whose browser runs scripts; every page works without them.
'use strict';

const texts = document.body.dataset;

// The summary of what went wrong is read out and scrolled to.
document.querySelector('[data-focus]')?.focus();

for (const input of document.querySelectorAll('[data-password]')) {
  const toggle = document.createElement('button');
  toggle.type = 'button';
  toggle.className = 'toggle';
  const label = input.labels[0]?.firstChild?.textContent?.trim() ?? '';
  const show = (visible) => {
    input.type = visible ? 'text' : 'password';
    toggle.textContent = visible ? texts.hide : texts.show;
    toggle.setAttribute('aria-label', `${toggle.textContent} – ${label}`);
  };
  show(false);
  toggle.setAttribute('aria-controls', input.id);
  toggle.addEventListener('click', () => show(input.type === 'password'));
  // A visible password would be kept by form history.
  input.form?.addEventListener('submit', () => show(false));
  input.parentElement.classList.add('has-toggle');
  input.after(toggle);
}

for (const button of document.querySelectorAll('[data-copy]')) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener('click', async () => {
    const lines = [...document.getElementById(button.dataset.copy).querySelectorAll('code')];
    await navigator.clipboard.writeText(lines.map((line) => line.textContent).join('\n'));
    const label = button.querySelector('span');
    const before = label.textContent;
    label.textContent = texts.copied;
    setTimeout(() => {
      label.textContent = before;
    }, 2000);
  });
}

for (const button of document.querySelectorAll('[data-print]')) {
  button.hidden = false;
  button.addEventListener('click', () => window.print());
}

// A form is sent once, however often the button is pressed, and shows that it waits. A page that comes back from the history, or whose
// loading was stopped, can be sent again.
const WAITING_MS = 8000; // no event tells that a person pressed Stop
for (const form of document.querySelectorAll('form')) {
  let timer = null;
  const wait = (waits) => {
    clearTimeout(timer);
    timer = waits ? setTimeout(() => wait(false), WAITING_MS) : null;
    form.toggleAttribute('data-busy', waits);
    form.setAttribute('aria-busy', String(waits));
  };
  form.addEventListener('submit', (event) => {
    if (timer !== null) event.preventDefault();
    else wait(true);
  });
  window.addEventListener('pageshow', () => wait(false));
  window.addEventListener('keydown', ({ key }) => key === 'Escape' && wait(false));
}

// On a phone the navigation scrolls in one row: the page that is open stands in view.
document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });

// "Keep me signed in" counts for the other ways on the page as well.
const remember = document.querySelector('input[name=rememberMe]');
remember?.addEventListener('change', () => {
  for (const link of document.querySelectorAll('a[data-remembers]')) {
    const address = new URL(link.href);
    if (remember.checked) address.searchParams.set('rememberMe', 'true');
    else address.searchParams.delete('rememberMe');
    link.href = address.href;
  }
});

// The server writes times in UTC, because it does not know where the reader is. The browser does, and how the reader writes them.
const pageLanguage = document.documentElement.lang;
const language = navigator.languages.find(
  // Some systems name languages that JavaScript does not know, such as en-US@posix.
  (each) => each.split('-')[0] === pageLanguage.split('-')[0] && /^[a-z]{2,3}(-[a-z\d]{2,8})*$/i.test(each),
);
for (const time of document.querySelectorAll('time[datetime]')) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  const style = time.textContent.includes('UTC') ? { dateStyle: 'medium', timeStyle: 'short' } : { dateStyle: 'medium' };
  time.textContent = new Intl.DateTimeFormat(language ?? pageLanguage, style).format(at);
}

// Another tab has just received the newer session cookie: with it, this page opens.
if (document.querySelector('[data-reload-once]')) {
  const key = `authtuna-reloaded ${location.pathname}`;
  try {
    if (Date.now() - Number(sessionStorage.getItem(key)) > 10_000) {
      sessionStorage.setItem(key, String(Date.now()));
      setTimeout(() => location.reload(), 250);
    }
  } catch {
    // Storage is blocked: the button on the page does the same.
  }
}
