// Dragging a card asks for the move in the same dialog as its ⋯ button. Nothing moves before the server has agreed.
(() => {
  let card;
  const lane = e => e.target.closest?.('.lane')?.querySelector('.deals');
  const clear = () => document.querySelectorAll('.deals.over').forEach(d => d.classList.remove('over'));
  const on = (type, then) => document.addEventListener(type, then);
  on('dragstart', e => { card = e.target.closest?.('.deal'); card?.classList.add('dragging') });
  on('dragend', () => { card?.classList.remove('dragging'); clear(); card = null });
  on('dragover', e => {
    const over = card && lane(e);
    if (!over) return;
    e.preventDefault();
    if (!over.classList.contains('over')) { clear(); over.classList.add('over') }
  });
  on('drop', e => {
    const over = card && lane(e);
    if (!over) return;
    e.preventDefault();
    const link = card.querySelector('[data-move]');
    if (over.dataset.stage !== link.dataset.stage) link.dispatchEvent(new CustomEvent('move', { bubbles: true, detail: over.dataset.stage }));
  });
})();
