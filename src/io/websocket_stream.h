// SPDX-License-Identifier: Apache-2.0
// The server's side of a WebSocket (RFC 6455) as a Stream over a Stream: whoever reads and writes it sees plain bytes.
// What arrives is the payload of the client's binary frames, wherever they begin and end; what is written leaves as one
// binary frame a write(). Pings are answered (the latest, when the socket is full), a close frame is answered and ends
// the stream, a broken protocol ends it after a close frame that says why (websocket_frames.h). No extensions. An idle
// one owns no buffers. On the loop of the stream below.
#pragma once

#include <memory>
#include <string>

#include "io/loop.h"
#include "io/stream.h"

namespace muster::io {

// `initial`: bytes of frames that were read with the upgrade request.
std::unique_ptr<Stream> websocket_stream(Loop& loop, std::unique_ptr<Stream> below, std::string initial);

}  // namespace muster::io
