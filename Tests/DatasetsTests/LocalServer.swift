import Foundation

/// A web server on 127.0.0.1 for one test: it serves bytes from memory, resumes downloads, and fails as it is told.
final class LocalServer: @unchecked Sendable {  // all state behind the lock
    /// What one address serves.
    struct Resource: Sendable {
        var content: [UInt8]
        /// The first answers are 503, this many of them.
        var busyAnswers = 0
        /// The first answer that has content stops after this many bytes of it and drops the connection.
        var dropAfter: Int?
        /// Without it, a range is ignored and the whole file sent.
        var supportsRange = true

        init(_ content: [UInt8]) { self.content = content }
    }

    /// A request as it came.
    struct Request: Equatable, Sendable {
        let path: String
        /// The first byte asked for; nil where no range was given.
        let start: Int?
    }

    let port: UInt16
    private let listener: Int32
    private let lock = NSLock()
    private var resources: [String: Resource]
    private var log: [Request] = []
    private var isStopping = false
    private let stopped = DispatchSemaphore(value: 0)

    /// Starts serving `resources`, by their path.
    init(_ resources: [String: Resource]) throws {
        self.resources = resources
        #if canImport(Glibc)
            let kind = Int32(SOCK_STREAM.rawValue)
        #else
            let kind = SOCK_STREAM
        #endif
        listener = socket(AF_INET, kind, 0)
        // A child process that inherited the socket would keep it open after the server is gone.
        _ = fcntl(listener, F_SETFD, FD_CLOEXEC)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = 0  // any free one
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = self.listener
        let isBound = withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        port = UInt16(bigEndian: address.sin_port)
        guard isBound else { throw POSIXError(.EADDRNOTAVAIL) }
        Thread { [self] in serve() }.start()
    }

    /// The requests so far, in order.
    var requests: [Request] { lock.withLock { log } }

    /// Stops, and returns when no request is being answered any more.
    func stop() {
        lock.withLock { isStopping = true }
        stopped.wait()
        close(listener)
    }

    private func serve() {
        var waiting = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        while !lock.withLock({ isStopping }) {
            guard poll(&waiting, 1, 50) > 0 else { continue }
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { continue }
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            answer(connection)
            close(connection)
        }
        stopped.signal()
    }

    /// Reads one request and answers it. One connection at a time is all that the script makes.
    private func answer(_ connection: Int32) {
        var head = [UInt8]()
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0 else { return }
            head += buffer[..<count]
        }
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
        let path = lines[0].components(separatedBy: " ").dropFirst().first ?? ""
        let range = lines.first { $0.lowercased().hasPrefix("range: bytes=") }
        let start = range.flatMap { Int($0.dropFirst("range: bytes=".count).prefix { $0 != "-" }) }

        var status = "404 Not Found"
        var fields = ""
        var body = ArraySlice<UInt8>()
        var announced = 0
        lock.withLock {
            log.append(Request(path: path, start: start))
            guard var resource = resources[path] else { return }
            defer { resources[path] = resource }
            if resource.busyAnswers > 0 {
                resource.busyAnswers -= 1
                status = "503 Service Unavailable"
                return
            }
            let total = resource.content.count
            status = "200 OK"
            body = resource.content[...]
            if resource.supportsRange, let start {
                guard start < total else {
                    status = "416 Range Not Satisfiable"
                    body = []
                    return
                }
                status = "206 Partial Content"
                fields = "Content-Range: bytes \(start)-\(total - 1)/\(total)\r\n"
                body = body[start...]
            }
            announced = body.count
            if let count = resource.dropAfter {
                resource.dropAfter = nil
                body = body.prefix(count)
            }
        }
        let answer = "HTTP/1.1 \(status)\r\nContent-Length: \(announced)\r\n\(fields)Connection: close\r\n\r\n"
        send(Array(answer.utf8)[...], to: connection)
        send(body, to: connection)
        shutdown(connection, Int32(SHUT_RDWR))
    }

    private func send(_ bytes: ArraySlice<UInt8>, to connection: Int32) {
        #if canImport(Glibc)
            let flags = Int32(MSG_NOSIGNAL)
            let transmit = Glibc.send
        #else
            let flags: Int32 = 0
            let transmit = Darwin.send
        #endif
        bytes.withUnsafeBytes { bytes in
            var sent = 0
            while sent < bytes.count {
                let count = transmit(connection, bytes.baseAddress! + sent, bytes.count - sent, flags)
                guard count > 0 else { return }
                sent += count
            }
        }
    }
}
