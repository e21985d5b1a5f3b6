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
