// @ts-check
// What both homes tell of states and times; assets.py puts it here.

/** @type {Pick<Tables, "states" | "stencils" | "lanes" | "spans">} */
// @ts-ignore -- a word until assets.py has put the tables there
const TABLES = __TABLES__;
