// Draws as often as the screen does, however often something changes.

/**
 * @param {() => void} draw - draws all that there is to draw.
 * @returns {() => void} has it drawn before the next picture; as often as you like.
 */
export function beforeNextPicture(draw) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  };
}
