// What script adds to pages that work without it. Listens on the document only, so swapped parts need no set-up.
(() => {
  const root = document.documentElement, byId = id => document.getElementById(id);
  const on = (type, then) => document.addEventListener(type, then);
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  const closeMenus = but => document.querySelectorAll('.menu[open]').forEach(m => { if (m !== but) m.open = false });

  // Our own word when the server could not be heard. It stays until it is read; toasts leave by themselves (components.css).
  const unheard = () => {
    const n = document.createElement('div');
    n.className = 'notice raised'; n.dataset.tone = 'bad'; n.dataset.dismiss = '';
    n.append(document.querySelector('.toasts').dataset.offline);
    byId('notices').replaceChildren(n);
  };
  on('animationend', e => { if (e.animationName === 'leave') e.target.remove() });

  on('click', e => {
    const t = e.target.closest('[data-theme-toggle], [data-copy], [data-print], [data-share], [data-close], [data-dismiss], [data-move]');
    closeMenus(e.target.closest('.menu'));
    if (!t) return;
    const d = t.dataset;
    if ('themeToggle' in d) {
      e.preventDefault();
      const dark = (root.dataset.theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
      root.dataset.theme = dark ? 'light' : 'dark';
      document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax${location.protocol === 'https:' ? '; secure' : ''}`;
    } else if (d.copy) {
      const field = byId(d.copy), word = t.querySelector('span'), was = word.textContent;
      field.select();
      Promise.resolve(navigator.clipboard?.writeText(field.value)).then(() => {
        word.textContent = d.done; setTimeout(() => word.textContent = was, 2000);
      }, () => {});
    } else if ('print' in d) print();
    else if ('dismiss' in d) t.closest('.notice').remove();
    else if ('close' in d) t.closest('dialog').close();
    else if (d.share) navigator.share?.({ url: d.share }).catch(() => {});
    else if (d.move && byId('move') && !e.ctrlKey && !e.metaKey) { e.preventDefault(); askMove(t, d.stage) }
  });

  // The move dialog: the same fields as the page behind the link, for this card, from `to`.
  function askMove(link, to) {
    const dialog = byId('move'), form = dialog.querySelector('form'), title = byId('mv-h');
    form.reset();
    form.action = link.href;
    title.textContent = title.dataset.title.replace('…', link.dataset.move);
    const radio = form.querySelector(`[name=stage][value="${CSS.escape(to)}"]`);
    radio.checked = true;
    dialog.showModal();
    (to === link.dataset.stage ? radio : form.reason).focus();
    dialog.onclose = () => byId(link.id)?.focus();
  }
  on('move', e => askMove(e.target, e.detail));

  on('keydown', e => {
    const open = e.key === 'Escape' && document.querySelector('.menu[open]');
    if (open) { open.open = false; open.querySelector('summary').focus() }
  });

  // A plain form shows that it is busy; htmx does so for its own.
  on('submit', e => {
    const b = e.submitter;
    e.target.closest('dialog')?.close();
    if (b?.matches('.btn') && !e.defaultPrevented) { b.ariaBusy = 'true'; addEventListener('pageshow', () => b.ariaBusy = null, { once: true }) }
  });

  // Survey: a pointer's choice glides on to the next question; the arrow keys never do.
  on('click', e => {
    if (!e.detail || !e.target.matches('.q :is(.faces, .scale) input')) return;
    const next = e.target.closest('.q').nextElementSibling;
    if (next) setTimeout(() => next.scrollIntoView({ behavior: calm.matches ? 'auto' : 'smooth' }), 220);
  });

  // Rows scroll to where one is.
  document.querySelectorAll(':is(.sections, .tabs) [aria-current]').forEach(a => {
    const row = a.closest('ul, .tabs'), x = e => e.getBoundingClientRect().x;
    row.scrollLeft = x(a) - x(row) - 48;
  });

  on('htmx:error', unheard);
  on('htmx:response:error', e => { if (e.detail.ctx.response.status >= 500) unheard() });
})();
