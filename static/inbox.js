// Keys for a desk that works through cases: j next, k previous, r reply, b book, e settle, ? the list of them. Everything they
// do is a link or a button on the page; they can be switched off there (WCAG 2.1.4), and never act while somebody types.
(() => {
  const menu = document.querySelector('[data-keys]'), tick = document.getElementById('keys-on'), off = 'inbox-keys-off';
  const field = ':is(input:not([type=hidden]), textarea, select):enabled', keyed = 'inbox-keyed';
  // Whoever came by a key finds the focus where the key meant: on the case in the list, or in the first field of the booking.
  if (sessionStorage.getItem(keyed)) document.querySelector(`[data-arrive] ${field}, .triage .ans[aria-current]`)?.focus();
  sessionStorage.removeItem(keyed);
  if (!menu) return;
  menu.hidden = false;
  tick.checked = !localStorage.getItem(off);
  tick.addEventListener('change', () => tick.checked ? localStorage.removeItem(off) : localStorage.setItem(off, '1'));
  document.addEventListener('keydown', e => {
    if (!tick.checked || e.ctrlKey || e.metaKey || e.altKey || e.repeat || e.target.closest('input:not([type=checkbox], [type=radio]), textarea, select, dialog')) return;
    const to = document.querySelector(`[data-key="${CSS.escape(e.key)}"]`);
    if (!to) return;
    e.preventDefault();
    if (to.matches('a')) {
      sessionStorage.setItem(keyed, '1');
      return to.click();
    }
    const step = to.parentElement;
    step.open = true;
    step.scrollIntoView({ block: step === menu ? 'nearest' : 'start' });
    step.querySelector(field)?.focus();
  });
})();
