/** TensorFlow.js: tensors, the gradient tape, and the WebGPU and CPU backends. Data workers must not import this file. */
export * as tf from "npm:@tensorflow/tfjs-core@4.22.0";
export { WebGPUBackend } from "npm:@tensorflow/tfjs-backend-webgpu@4.22.0";
import "npm:@tensorflow/tfjs-backend-cpu@4.22.0";
