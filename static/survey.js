// The question after the scores follows them; what is typed is kept as it is typed; and who came by the link of a score
// and adds nothing ticks that it is theirs, once, before it is sent. Without script the server asks for the same.
(() => {
  const form = document.getElementById('survey'), wordings = form.querySelectorAll('[data-said]');
  const mine = form.querySelector('[data-mine]'), tick = mine?.querySelector('input');
  let touched = !!form.querySelector('[role=alert]'), asked = false, waiting, sent = false;
  const level = name => {
    const score = form[name]?.value, [bad, good] = (form.dataset[name] || '').split(' ');
    return score ? (+score <= +bad ? 0 : +score < +good ? 1 : 2) : 3;
  };
  const follow = () => {
    const said = ['dissatisfied', 'neutral', 'satisfied', ''][Math.min(level('csat'), level('nps'))];
    wordings.forEach(w => w.hidden = w.dataset.said !== said);
  };
  // Questions that depend on an earlier answer; the server decides the same when it is sent.
  const notes = [...form.querySelectorAll('[data-if]')], all = [...form.querySelectorAll('.q')];
  const depend = () => {
    const given = new FormData(form), unseen = new Set();
    notes.forEach(note => {
      const {if: on, how, values} = note.dataset, wanted = values.split(' ');
      const got = unseen.has(on) ? [] : given.getAll(on).filter(v => v.trim());
      const seen = got.length && (how === 'answered' || (how === 'one_of' ? got.some(v => wanted.includes(v))
        : how === 'at_most' ? +got[0] <= +wanted[0] : +got[0] >= +wanted[0]));
      const q = note.closest('.q'), send = q.querySelector('[data-send]');
      note.hidden = true;
      if (!seen) q.querySelectorAll('input, textarea').forEach(field => unseen.add(field.name));
      if (send) [...send.parentElement.children].forEach(part => part.hidden = !seen && part !== send || part === note);
      else q.hidden = !seen;
      form.querySelector(`.steps a[href="#${q.id}"]`).parentElement.hidden = !seen;
    });
    const open = all.filter(q => !q.hidden);
    open.forEach((q, n) => { const next = q.querySelector('a.btn[href^="#q"]'); if (next && open[n + 1]) next.hash = open[n + 1].id; });
  };
  const keep = () => {
    clearTimeout(waiting);
    if (form.dataset.draft && touched && !sent)
      fetch(form.dataset.draft, {method: 'POST', body: new URLSearchParams(new FormData(form)), keepalive: true}).catch(() => {});
  };
  form.addEventListener('change', e => {
    follow();
    if (notes.length) depend();
    if (e.target === tick) { if (asked && tick.checked) form.requestSubmit(); return; }
    touched = true;
    if (mine && !asked) mine.hidden = true;
  });
  form.addEventListener('input', e => {
    if (e.target === tick) return;
    touched = true;
    if (notes.length) depend();
    clearTimeout(waiting);
    waiting = setTimeout(keep, 800);
  });
  form.addEventListener('submit', e => {
    if (sent) { e.preventDefault(); return; }
    if (tick && !touched && !tick.checked) {
      e.preventDefault();
      asked = true;
      mine.hidden = false;
      tick.focus();
      return;
    }
    sent = true;
  });
  addEventListener('pagehide', keep);
  addEventListener('pageshow', e => { if (e.persisted) sent = false; });
  follow();
  if (notes.length) depend();
})();
