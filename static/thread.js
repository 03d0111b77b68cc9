// A thread that is looked at stays fresh, and Ctrl+Enter sends. The page works without.
(() => {
  const end = () => document.getElementById('thread-end');
  setInterval(() => { if (!document.hidden) end()?.dispatchEvent(new CustomEvent('fresh')) }, 20000);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) end()?.dispatchEvent(new CustomEvent('fresh')) });
  document.addEventListener('keydown', e => {
    if (e.key !== 'Enter' || !(e.ctrlKey || e.metaKey) || !e.target.matches('[data-sends]')) return;
    e.preventDefault();
    e.target.form.requestSubmit();
  });
  const show = () => (document.getElementById('new') || end())?.scrollIntoView({ block: 'center' });
  if (!location.hash) document.addEventListener('DOMContentLoaded', show);
})();
