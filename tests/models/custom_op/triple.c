// A custom operation by TensorFlow's C API, to test that op libraries load:
// TensorwireTestTriple takes floats of any shape and gives three times each.
#include <stdint.h>

// ops.h uses these names without `struct`, which only C++ allows.
typedef struct TF_OpDefinitionBuilder TF_OpDefinitionBuilder;
typedef struct TF_ShapeHandle TF_ShapeHandle;
typedef struct TF_ShapeInferenceContext TF_ShapeInferenceContext;
typedef struct TF_DimensionHandle TF_DimensionHandle;

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"
#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

#define OPERATION "TensorwireTestTriple"
#define MAX_RANK 16

static void same_shape(TF_ShapeInferenceContext* context, TF_Status* status) {
  TF_ShapeHandle* shape = TF_NewShapeHandle();
  TF_ShapeInferenceContextGetInput(context, 0, shape, status);
  if (TF_GetCode(status) == TF_OK) {
    TF_ShapeInferenceContextSetOutput(context, 0, shape, status);
  }
  TF_DeleteShapeHandle(shape);
}

static void triple(TF_OpKernelContext* context, TF_Tensor* input, TF_Status* status) {
  int64_t dims[MAX_RANK];
  int rank = TF_NumDims(input);
  if (rank > MAX_RANK) {
    TF_SetStatus(status, TF_INVALID_ARGUMENT, OPERATION " takes at most 16 dimensions");
    return;
  }
  for (int index = 0; index < rank; index++) {
    dims[index] = TF_Dim(input, index);
  }
  size_t bytes = TF_TensorByteSize(input);
  TF_Tensor* output = TF_AllocateOutput(context, 0, TF_FLOAT, dims, rank, bytes, status);
  if (TF_GetCode(status) != TF_OK) {
    return;
  }
  const float* from = TF_TensorData(input);
  float* to = TF_TensorData(output);
  for (size_t index = 0; index < bytes / sizeof(float); index++) {
    to[index] = 3 * from[index];
  }
  TF_DeleteTensor(output);
}

static void compute(void* kernel, TF_OpKernelContext* context) {
  (void)kernel;
  TF_Status* status = TF_NewStatus();
  TF_Tensor* input = NULL;
  TF_GetInput(context, 0, &input, status);
  if (TF_GetCode(status) == TF_OK) {
    triple(context, input, status);
  }
  if (TF_GetCode(status) != TF_OK) {
    TF_OpKernelContext_Failure(context, status);
  }
  if (input != NULL) {
    TF_DeleteTensor(input);
  }
  TF_DeleteStatus(status);
}

// Runs when the library is loaded.
__attribute__((constructor)) static void register_operation(void) {
  TF_Status* status = TF_NewStatus();
  TF_OpDefinitionBuilder* operation = TF_NewOpDefinitionBuilder(OPERATION);
  TF_OpDefinitionBuilderAddInput(operation, "x: float");
  TF_OpDefinitionBuilderAddOutput(operation, "y: float");
  TF_OpDefinitionBuilderSetShapeInferenceFunction(operation, same_shape);
  TF_RegisterOpDefinition(operation, status);
  TF_KernelBuilder* kernel = TF_NewKernelBuilder(OPERATION, "CPU", NULL, compute, NULL);
  TF_RegisterKernelBuilder(OPERATION, kernel, status);
  TF_DeleteStatus(status);
}
