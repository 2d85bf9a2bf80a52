import { groupOf, groupTimes } from "../../src/bench/groups.ts";
import { assertEquals } from "../deps.ts";

Deno.test("groupOf() gives what a kernel does, without sizes and storage", () => {
  const cases = {
    "matmul_lanes_8_32_2_8_NT_texture_texture_bias_texture_gelu": "product NT",
    "matmul_tiles_64_64_TN_buffer_half_buffer_sums": "product TN",
    "attention_forward_texture_4_32_8_3": "attention forward",
    "attention_along_texture_texture_4_32_8_5": "attention backward",
    "attention_key_texture_texture_texture_4_32_8_5": "attention backward",
    "layer_norm_x_texture_128_gain_texture_128_y__128_8": "layer norm forward",
    "layer_norm_dx_dy_texture_128": "layer norm backward",
    "layer_norm_columns_dy_texture_128": "layer norm backward",
    "pixel_loss_prediction_texture_192": "pixel loss forward",
    "pixel_loss_gradient_prediction_texture_192": "pixel loss backward",
    "adamw_texture_vec4f_2": "adamw",
    "squares_texture_8_128_true": "squares",
    "squares_single_128_64_false": "squares",
    "normalize_pixels_3_196608_49152": "normalize pixels",
    "step_control": "step control",
    "tfjs Transpose": "tfjs Transpose",
    "": "",
  };
  for (const [name, group] of Object.entries(cases)) assertEquals(groupOf(name), group, name);
});

Deno.test("groupTimes() adds up dispatches of a group, the longest first", () => {
  const times = [
    { name: "step_control", milliseconds: 1 },
    { name: "matmul_x_NN_a", milliseconds: 2 },
    { name: "matmul_y_NN_b", milliseconds: 3 },
  ];
  assertEquals(groupTimes(times), [
    { name: "product NN", dispatches: 2, milliseconds: 5 },
    { name: "step control", dispatches: 1, milliseconds: 1 },
  ]);
});
