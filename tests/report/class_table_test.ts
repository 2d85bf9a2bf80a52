import { classTable } from "../../src/report/class_table.ts";
import { assertEquals } from "../deps.ts";

Deno.test("classTable() gives recall, precision and the most frequent confusion of each class", () => {
  const confusion = [
    [6, 1, 3, 0],
    [0, 5, 0, 0],
    [2, 2, 0, 0],
    [0, 0, 0, 0],
  ];
  assertEquals(classTable(confusion.flat(), ["a", "b", "c", "d"]), [
    { name: "a", images: 10, recall: 0.6, precision: 0.75, confusion: { name: "c", images: 3 } },
    { name: "b", images: 5, recall: 1, precision: 0.625, confusion: null },
    { name: "c", images: 4, recall: 0, precision: 0, confusion: { name: "a", images: 2 } }, // the first of equals
    { name: "d", images: 0, recall: null, precision: null, confusion: null },
  ]);
});
