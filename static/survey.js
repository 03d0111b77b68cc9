// The question after the scores follows them; without script it is worded so that it fits every score.
(() => {
  const form = document.getElementById('survey'), wordings = form.querySelectorAll('[data-said]');
  const level = name => {
    const score = form[name]?.value, [bad, good] = (form.dataset[name] || '').split(' ');
    return score ? (+score <= +bad ? 0 : +score < +good ? 1 : 2) : 3;
  };
  const follow = () => {
    const said = ['dissatisfied', 'neutral', 'satisfied', ''][Math.min(level('csat'), level('nps'))];
    wordings.forEach(w => w.hidden = w.dataset.said !== said);
  };
  form.addEventListener('change', follow);
  follow();
})();
