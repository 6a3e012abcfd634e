package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// Options say which part of a log to give. Zero values ask for everything.
type Options struct {
	Tail       *int // the last lines only; 0 is none
	Since      time.Time
	LimitBytes int
	Timestamps bool
	Follow     bool
}

// Read copies a log to out. With Follow it goes on until the writer closes or the context ends; writer may be nil for the log of an ended run.
func Read(ctx context.Context, path string, writer *Writer, options Options, out io.Writer) error {
	p := &printer{out: out, options: options, startOfLine: true}
	current, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = current.Close() }()
	if err := p.history(path, current); err != nil {
		return ignoreLimit(err)
	}
	if !options.Follow || writer == nil {
		return nil
	}
	return ignoreLimit(p.follow(ctx, path, &current, writer))
}

// Tail gives the last lines of a log as text, at most size bytes: the termination message of FallbackToLogsOnError.
func Tail(path string, lines, size int) string {
	var out bytes.Buffer
	if err := Read(context.Background(), path, nil, Options{Tail: &lines}, &out); err != nil {
		return ""
	}
	text := out.Bytes()
	return string(text[max(0, len(text)-size):])
}

var errLimit = errors.New("limit reached")

func ignoreLimit(err error) error {
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

type printer struct {
	out         io.Writer
	options     Options
	written     int
	startOfLine bool
	rest        []byte // a record whose end is not written yet
}

// history prints what is there: the rotated file, then the current one from its beginning.
func (p *printer) history(path string, current io.Reader) error {
	var readers []io.Reader
	if old, err := os.Open(rotated(path)); err == nil {
		defer func() { _ = old.Close() }()
		readers = append(readers, old)
	}
	readers = append(readers, current)
	if p.options.Tail == nil {
		return p.copy(io.MultiReader(readers...), p.print)
	}
	// Keep the records of the last lines. A line ends with a record marked F.
	var kept [][]byte
	ends := 0
	wanted := *p.options.Tail
	err := p.copy(io.MultiReader(readers...), func(r []byte) error {
		kept = append(kept, bytes.Clone(r))
		if _, _, full, _ := parse(r); full {
			ends++
		}
		for ends > wanted {
			if _, _, full, _ := parse(kept[0]); full {
				ends--
			}
			kept = kept[1:]
		}
		return nil
	})
	for _, r := range kept {
		if err == nil && wanted > 0 {
			err = p.print(r)
		}
	}
	return err
}

func (p *printer) follow(ctx context.Context, path string, current **os.File, writer *Writer) error {
	for {
		changed, closed := writer.state() // before reading: what is written after this closes the channel
		if err := p.copy(*current, p.print); err != nil {
			return err
		}
		if replacement, err := reopened(path, *current); err == nil && replacement != nil {
			_ = (*current).Close()
			*current = replacement
			continue
		}
		if closed {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// reopened gives the new file when path was rotated away under the open one.
func reopened(path string, open *os.File) (*os.File, error) {
	now, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	then, err := open.Stat()
	if err != nil || os.SameFile(now, then) {
		return nil, err
	}
	return os.Open(path)
}

// copy hands complete records on; the beginning of an incomplete one waits for the next call.
func (p *printer) copy(from io.Reader, each func(record []byte) error) error {
	reader := bufio.NewReaderSize(from, 64<<10)
	for {
		part, err := reader.ReadSlice('\n')
		p.rest = append(p.rest, part...)
		if err == nil {
			record := p.rest
			p.rest = nil
			if err := each(record); err != nil {
				return err
			}
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (p *printer) print(record []byte) error {
	at, text, full, ok := parse(record)
	if !ok {
		return nil
	}
	if !p.options.Since.IsZero() {
		if written, err := time.Parse(time.RFC3339Nano, string(at)); err == nil && written.Before(p.options.Since) {
			return nil
		}
	}
	line := make([]byte, 0, len(record))
	if p.options.Timestamps && p.startOfLine {
		line = append(append(line, at...), ' ')
	}
	line = append(line, text...)
	if full {
		line = append(line, '\n')
	}
	p.startOfLine = full
	if limit := p.options.LimitBytes; limit > 0 && p.written+len(line) > limit {
		_, _ = p.out.Write(line[:limit-p.written])
		return errLimit
	}
	n, err := p.out.Write(line)
	p.written += n
	return err
}

// parse splits a record into its time, its text and whether the line ends here.
func parse(record []byte) (at, text []byte, full, ok bool) {
	parts := bytes.SplitN(bytes.TrimSuffix(record, []byte{'\n'}), []byte{' '}, 4)
	if len(parts) != 4 {
		return nil, nil, false, false
	}
	return parts[0], parts[3], parts[2][0] == 'F', true
}
