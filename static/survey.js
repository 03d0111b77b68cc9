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
  const keep = () => {
    clearTimeout(waiting);
    if (form.dataset.draft && touched && !sent)
      fetch(form.dataset.draft, {method: 'POST', body: new URLSearchParams(new FormData(form)), keepalive: true}).catch(() => {});
  };
  form.addEventListener('change', e => {
    follow();
    if (e.target === tick) { if (asked && tick.checked) form.requestSubmit(); return; }
    touched = true;
    if (mine && !asked) mine.hidden = true;
  });
  form.addEventListener('input', e => {
    if (e.target === tick) return;
    touched = true;
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
})();
