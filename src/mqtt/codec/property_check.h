// SPDX-License-Identifier: Apache-2.0
// Reading and checking the properties of one packet, for the decoder. Private to codec.
#pragma once

#include "mqtt/codec/decode.h"
#include "mqtt/codec/encode.h"
#include "mqtt/codec/reader.h"

namespace muster::mqtt {

// The length and the properties behind it. `packet`: packet type, or 0 for will properties. A reason other than
// kSuccess is an error.
DecodeError read_properties(Reader& reader, unsigned packet, Properties& into);

}  // namespace muster::mqtt
