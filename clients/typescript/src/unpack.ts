import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { anyUnpack as unpack, type Any } from "@bufbuild/protobuf/wkt";

export type AnyDesc = DescMessage;

/** The message inside, when it is one of that kind. */
export function anyUnpack<D extends AnyDesc>(any: Any, schema: D): MessageShape<D> | undefined {
  return unpack(any, schema);
}
