/* Calls SavedModels through TensorFlow's C API, without Python.
 *
 *   saved_model_call OPS CALLS ANSWERS
 *
 * writes the operations that TensorFlow itself has into OPS (an OpList), then for each call in the
 * file CALLS the outputs into ANSWERS. Both files are sequences of
 *
 *   call    text model, u32 inputs, (text operation, u32 index, tensor)..., u32 outputs,
 *           (text operation, u32 index)...
 *   answer  tensor...
 *   tensor  u32 dtype, u32 rank, i64 sizes..., then for strings each as a text, else the bytes as
 *           a text
 *   text    u32 length, bytes
 *
 * A model is loaded again only where it differs from the one before.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MOST 32

static FILE *calls, *answers;

static void stop(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void check(TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) stop(TF_Message(status));
}

static void read_all(void *to, size_t size) {
  if (fread(to, 1, size, calls) != size) stop("the file of calls ends too early");
}

static uint32_t read_u32(void) {
  uint32_t value;
  read_all(&value, sizeof value);
  return value;
}

static char *read_text(uint32_t *length) {
  *length = read_u32();
  char *text = calloc(*length + 1, 1);
  read_all(text, *length);
  return text;
}

static void write_u32(uint32_t value) { fwrite(&value, sizeof value, 1, answers); }

static void write_text(const void *text, size_t length) {
  write_u32((uint32_t)length);
  fwrite(text, 1, length, answers);
}

static TF_Tensor *read_tensor(void) {
  TF_DataType dtype = (TF_DataType)read_u32();
  int rank = (int)read_u32();
  int64_t sizes[8], elements = 1;
  if (rank > 8) stop("more than 8 dimensions");
  for (int i = 0; i < rank; i++) {
    read_all(&sizes[i], sizeof sizes[i]);
    elements *= sizes[i];
  }
  uint32_t length;
  if (dtype == TF_STRING) {
    TF_Tensor *tensor = TF_AllocateTensor(dtype, sizes, rank, elements * sizeof(TF_TString));
    TF_TString *strings = TF_TensorData(tensor);
    for (int64_t i = 0; i < elements; i++) {
      char *text = read_text(&length);
      TF_StringInit(&strings[i]);
      TF_StringCopy(&strings[i], text, length);
      free(text);
    }
    return tensor;
  }
  char *bytes = read_text(&length);
  TF_Tensor *tensor = TF_AllocateTensor(dtype, sizes, rank, length);
  memcpy(TF_TensorData(tensor), bytes, length);
  free(bytes);
  return tensor;
}

static void write_tensor(TF_Tensor *tensor) {
  write_u32(TF_TensorType(tensor));
  write_u32(TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); i++) {
    int64_t size = TF_Dim(tensor, i);
    fwrite(&size, sizeof size, 1, answers);
  }
  if (TF_TensorType(tensor) == TF_STRING) {
    const TF_TString *strings = TF_TensorData(tensor);
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++)
      write_text(TF_StringGetDataPointer(&strings[i]), TF_StringGetSize(&strings[i]));
  } else {
    write_text(TF_TensorData(tensor), TF_TensorByteSize(tensor));
  }
}

static TF_Output read_place(TF_Graph *graph) {
  uint32_t length;
  char *name = read_text(&length);
  TF_Output place = {TF_GraphOperationByName(graph, name), (int)read_u32()};
  if (!place.oper) stop(name);
  free(name);
  return place;
}

int main(int count, char **arguments) {
  if (count != 4) stop("expected OPS CALLS ANSWERS");
  FILE *ops = fopen(arguments[1], "wb");
  calls = fopen(arguments[2], "rb");
  answers = fopen(arguments[3], "wb");
  if (!ops || !calls || !answers) stop("cannot open a file");

  TF_Buffer *list = TF_GetAllOpList();
  fwrite(list->data, 1, list->length, ops);
  fclose(ops);
  TF_DeleteBuffer(list);

  TF_Status *status = TF_NewStatus();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Graph *graph = NULL;
  TF_Session *session = NULL;
  char *loaded = NULL;
  const char *tags[] = {"serve"};
  for (int next; (next = fgetc(calls)) != EOF;) {
    ungetc(next, calls);
    uint32_t length;
    char *model = read_text(&length);
    if (!loaded || strcmp(model, loaded)) {
      graph = TF_NewGraph();
      session = TF_LoadSessionFromSavedModel(options, NULL, model, tags, 1, graph, NULL, status);
      check(status);
      loaded = model;
    }
    TF_Output from[MOST], to[MOST];
    TF_Tensor *given[MOST], *found[MOST];
    uint32_t inputs = read_u32();
    if (inputs > MOST) stop("too many inputs");
    for (uint32_t i = 0; i < inputs; i++) {
      from[i] = read_place(graph);
      given[i] = read_tensor();
    }
    uint32_t outputs = read_u32();
    if (outputs > MOST) stop("too many outputs");
    for (uint32_t i = 0; i < outputs; i++) to[i] = read_place(graph);
    TF_SessionRun(session, NULL, from, given, (int)inputs, to, found, (int)outputs, NULL, 0, NULL,
                  status);
    check(status);
    for (uint32_t i = 0; i < outputs; i++) {
      write_tensor(found[i]);
      TF_DeleteTensor(found[i]);
    }
    for (uint32_t i = 0; i < inputs; i++) TF_DeleteTensor(given[i]);
  }
  return fclose(answers);
}
