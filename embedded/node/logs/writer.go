// Package logs keeps what containers write: bounded files that kubectl logs can tail, follow, filter by time and read after a restart.
//
// A file holds one line per record, "<RFC 3339 time> <stream> <F|P> <text>", the form of the container runtime interface; P marks a piece of a
// longer line that goes on in the next record.
package logs

import (
	"bufio"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// MaxSize is the size at which a file is rotated. One rotated file is kept, so a container run holds at most twice this.
	MaxSize = 10 << 20
	// pieceSize is the longest text in one record.
	pieceSize = 16 << 10
)

// Writer is the log of one run of a container. The zero Writer is not usable; see Create.
type Writer struct {
	path string

	mu      sync.Mutex
	file    *os.File
	size    int64
	changed chan struct{} // closed and replaced at each write, closed for good at Close
	closed  bool
}

// Create starts an empty log at path, readable by its owner only.
func Create(path string) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	_ = os.Remove(rotated(path))
	return &Writer{path: path, file: file, changed: make(chan struct{})}, nil
}

// Path is where the log is.
func (w *Writer) Path() string { return w.path }

func rotated(path string) string { return path + ".1" }

// Copy reads a stream ("stdout" or "stderr") to its end into the log.
func (w *Writer) Copy(stream string, from io.Reader) error {
	reader := bufio.NewReaderSize(from, pieceSize)
	for {
		piece, err := reader.ReadSlice('\n')
		if len(piece) > 0 {
			if writeErr := w.write(stream, piece); writeErr != nil {
				_, _ = io.Copy(io.Discard, from) // the process must not block because the disk is full
				return writeErr
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

func (w *Writer) write(stream string, piece []byte) error {
	record := make([]byte, 0, len(piece)+64)
	record = time.Now().UTC().AppendFormat(record, time.RFC3339Nano)
	record = append(record, ' ')
	record = append(record, stream...)
	if piece[len(piece)-1] == '\n' {
		record = append(record, " F "...)
		record = append(record, piece...)
	} else {
		record = append(record, " P "...)
		record = append(record, piece...)
		record = append(record, '\n')
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return os.ErrClosed
	}
	if w.size+int64(len(record)) > MaxSize {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	n, err := w.file.Write(record)
	w.size += int64(n)
	close(w.changed)
	w.changed = make(chan struct{})
	return err
}

func (w *Writer) rotate() error {
	if err := os.Rename(w.path, rotated(w.path)); err != nil {
		return err
	}
	file, err := os.OpenFile(w.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_ = w.file.Close()
	w.file, w.size = file, 0
	return nil
}

// Close ends the log; followers get the end of the stream.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	close(w.changed)
	return w.file.Close()
}

// state tells a follower what to wait for: changed closes at the next write.
func (w *Writer) state() (changed <-chan struct{}, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed, w.closed
}

// Remove deletes a log and what was rotated out of it.
func Remove(path string) {
	_ = os.Remove(path)
	_ = os.Remove(rotated(path))
}
