// What the scripts here share: a wrong answer ends them with an error.
import { deepStrictEqual } from "node:assert";

export function expect(got, wanted) {
  deepStrictEqual(got, wanted);
}

export async function refused(promise) {
  let got;
  try {
    got = await promise;
  } catch {
    return;
  }
  throw new Error(`gave ${got}`);
}

/** Tries until `holds` does; what is waited for comes in its own time. */
export async function eventually(holds) {
  const until = Date.now() + 30_000;
  while (!(await holds())) {
    if (Date.now() > until) throw new Error(`never: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Keys and values that are not plain ASCII words. */
export const oddKeys = ["schlüssel", "ключ", "two words", "line\r\nbreak", "", "k".repeat(1000)];
