// Passkeys on pages: buttons, and the names a browser offers below the sign-in field. Without a script, or without passkeys, nothing is shown.
'use strict';

(() => {
  const webauthn = window.SimpleWebAuthnBrowser;
  if (!webauthn?.browserSupportsWebAuthn()) return;

  const RENEW_MS = 4 * 60 * 1000; // a challenge lives for five minutes
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  async function post(url, body) {
    const send = () =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify(body),
      });
    let response = await send();
    let answer = await response.json().catch(() => ({}));
    // Another tab has just received the newer session cookie; nothing was done with the old one.
    if (answer.code === 'superseded') {
      await wait(250);
      response = await send();
      answer = await response.json().catch(() => ({}));
    }
    if (!response.ok) throw Object.assign(new Error(answer.detail ?? answer.code), { answer });
    return answer;
  }

  function submit(url, fields) {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = url;
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement('input');
      input.type = 'hidden';
      input.name = name;
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
  }

  async function register({ optionsUrl, finishUrl, codesUrl, csrfToken }) {
    const optionsJSON = await post(optionsUrl, {});
    const made = await post(finishUrl, await webauthn.startRegistration({ optionsJSON }));
    // Whoever has a second factor and no recovery codes is one lost device away from being locked out.
    if (made.recoveryCodesLeft === 0) submit(codesUrl, { csrfToken, returnTo: location.pathname });
    else location.reload();
  }

  async function signIn({ optionsUrl, finishUrl, purpose, returnTo, afterSignIn }, useBrowserAutofill) {
    const optionsJSON = await post(optionsUrl, { purpose });
    const response = await webauthn.startAuthentication({ optionsJSON, useBrowserAutofill });
    const answer = await post(finishUrl, { ...response, purpose, ...remembered(purpose) }).catch((error) => {
      if (error.answer?.isGone) forget(optionsJSON.rpId, response.id);
      throw Object.assign(error, { wasChosen: true });
    });
    const path = returnTo ?? afterSignIn;
    if (answer.secondFactor === undefined) location.assign(path);
    else location.assign(`${codesBase(finishUrl)}/mfa/challenge?returnTo=${encodeURIComponent(path)}`);
  }

  /** The box of the sign-in page. */
  function remembered(purpose) {
    const box = document.querySelector('input[name=rememberMe]');
    return purpose === 'sign_in' && box?.checked ? { rememberMe: true } : {};
  }

  const codesBase = (finishUrl) => finishUrl.replace(/\/passkeys\/.*$/, '');

  // The browser stops offering a passkey that was removed here, where it knows how to.
  function forget(rpId, credentialId) {
    window.PublicKeyCredential.signalUnknownCredential?.({ rpId, credentialId }).catch(() => {});
  }

  /** The name of the text that says why a ceremony failed. */
  function textFor({ name, answer }) {
    if (answer?.failure === 'unknown_credential') return 'unknown';
    if (answer?.failure === 'wrong_backup_state') return 'changed';
    if (answer?.failure === 'registered_already' || name === 'InvalidStateError') return 'registered';
    // At an address such as 127.0.0.1 the server refuses the request, or the browser the ceremony.
    const isElsewhere = answer?.code === 'cross_site_request' || answer?.failure === 'wrong_origin';
    if (isElsewhere || name === 'SecurityError') return 'wrongHost';
    return name === 'NotAllowedError' ? 'canceled' : 'failed';
  }

  function explain(error, place, status) {
    const { stepUp } = error.answer ?? {};
    if (stepUp !== undefined && place.dataset.purpose !== 'step_up') {
      location.assign(`${stepUp}?returnTo=${encodeURIComponent(location.pathname)}`);
      return;
    }
    status.textContent = place.dataset[textFor(error)];
  }

  async function offerBelowField(place, status) {
    if (document.querySelector('input[autocomplete~="webauthn"]') === null) return;
    if (!(await webauthn.browserSupportsWebAuthnAutofill())) return;
    const offer = () =>
      signIn(place.dataset, true).catch((error) => {
        // Who chose nothing need not hear that an offer ended, or could not be made.
        if (error.wasChosen) explain(error, place, status);
      });
    const timer = setInterval(offer, RENEW_MS);
    place.querySelector('button').addEventListener('click', () => clearInterval(timer), { once: true });
    offer();
  }

  for (const place of document.querySelectorAll('[data-passkey]')) {
    const button = place.querySelector('button');
    const status = place.querySelector('.status');
    const isRegistration = place.dataset.passkey === 'register';
    place.hidden = false;
    button.addEventListener('click', async () => {
      // Not `disabled`: a button that is would lose the focus, and a canceled ceremony leaves it nowhere.
      if (button.getAttribute('aria-disabled') === 'true') return;
      button.setAttribute('aria-disabled', 'true');
      status.textContent = '';
      try {
        await (isRegistration ? register(place.dataset) : signIn(place.dataset, false));
      } catch (error) {
        explain(error, place, status);
      } finally {
        button.removeAttribute('aria-disabled');
        button.focus();
      }
    });
    if (!isRegistration && place.dataset.purpose === 'sign_in') offerBelowField(place, status);
  }
})();
