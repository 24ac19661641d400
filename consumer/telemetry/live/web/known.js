/** What the page knows: the answers so far, and where its reader looks. */
const known = {
  boot: undefined,
  points: [],
  latest: null,
  facts: null,
  number: 0,
  looked: 0,
  paused: false,
  heard: performance.now(),
  at: 0,
  colors: {},
};
