/** TensorFlow.js: tensors, the gradient tape, and the WebGPU and CPU backends. Data workers must not import this file. */
import * as tfjs from "npm:@tensorflow/tfjs-core@4.22.0";
import * as webgpu from "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";
import "npm:@tensorflow/tfjs-backend-cpu@4.22.0";

/** TensorFlow.js: everything that `@tensorflow/tfjs-core` 4.22 exports. */
export const tf: typeof tfjs = tfjs;

/** The types of TensorFlow.js that we use, one by one: `deno doc` would otherwise take all of its API for ours. */
export declare namespace tf {
  /** A tensor of any rank. */
  export type Tensor = tfjs.Tensor;
  /** A tensor that can be assigned to; parameters are. */
  export type Variable = tfjs.Variable;
  /** A tensor of rank 0. */
  export type Scalar = tfjs.Scalar;
  /** A tensor of rank 1. */
  export type Tensor1D = tfjs.Tensor1D;
  /** A tensor of rank 2. */
  export type Tensor2D = tfjs.Tensor2D;
  /** A tensor of rank 3. */
  export type Tensor3D = tfjs.Tensor3D;
  /** A tensor of rank 4. */
  export type Tensor4D = tfjs.Tensor4D;
  /** What a backend knows of a tensor. */
  export type TensorInfo = tfjs.TensorInfo;
  /** Keeps tensors for the gradient of a custom operation. */
  export type GradSaveFunc = tfjs.GradSaveFunc;
}

/** The WebGPU backend of TensorFlow.js. */
export const WebGPUBackend: (typeof webgpu)["WebGPUBackend"] = webgpu.WebGPUBackend;
/** An instance of it. */
export type WebGPUBackend = webgpu.WebGPUBackend;
