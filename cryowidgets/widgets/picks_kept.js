// What a person has changed of picks and not saved, kept by the browser for this window: a page that is loaded anew has
// it again. What is read back may be anybody's and is taken only as far as it is what was written.

const KEPT_DRAFTS = 200; // micrographs, and places on each of them: as in picks_hand.py
const KEPT_PLACES = 5000;

// `name` gives the key under which it is kept; empty for not at all.
function keptDrafts(name) {
  const places = (all) =>
    Array.isArray(all) &&
    all.length <= KEPT_PLACES &&
    all.every((p) => Array.isArray(p) && p.length === 2 && p.every((v) => Number.isFinite(v) && v >= 0 && v < 1e6));
  const whole = (v, most) => Number.isInteger(v) && v > 0 && v < most;
  const sound = ({ exposure, size, add, remove } = {}) =>
    whole(exposure, Number.MAX_SAFE_INTEGER) &&
    Array.isArray(size) &&
    size.length === 2 &&
    size.every((v) => v === 0 || whole(v, 1e6)) &&
    places(add) &&
    places(remove) &&
    add.length + remove.length > 0;
  // A browser may keep nothing, for want of room or by a person's wish: then there is nothing.
  const guarded = (work, otherwise) => {
    try {
      return work();
    } catch {
      return otherwise;
    }
  };
  return {
    name,
    read: () => {
      const found = guarded(() => JSON.parse(sessionStorage.getItem(name())), null);
      return Array.isArray(found) ? found.filter((one) => guarded(() => sound(one), false)).slice(0, KEPT_DRAFTS) : [];
    },
    write: (all) =>
      guarded(() => {
        if (all.length) sessionStorage.setItem(name(), JSON.stringify(all.slice(0, KEPT_DRAFTS)));
        else sessionStorage.removeItem(name());
      }),
  };
}
