// "/" goes to the search from anywhere but a field; whoever doesn't want a key that does something turns it off on the page.
(() => {
  const slash = document.querySelector('[data-slash]');
  const off = () => { try { return localStorage.slash === 'off' } catch { return false } };
  if (slash && matchMedia('(hover: hover)').matches) {
    slash.checked = !off(); slash.parentElement.hidden = false;
    slash.addEventListener('change', () => { try { localStorage.slash = slash.checked ? 'on' : 'off' } catch {} });
  }
  document.addEventListener('keydown', e => {
    if (e.key === 'Escape' && e.target.matches?.('.finder input')) { e.target.blur(); return }
    if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || off()) return;
    if (e.target.closest?.('input, textarea, select, [contenteditable]') || document.querySelector('dialog[open]')) return;
    e.preventDefault();
    const field = [...document.querySelectorAll('[data-find]')].find(each => each.checkVisibility());
    if (field) { field.focus(); field.select() } else document.querySelector('.find-link')?.click();
  });
})();
