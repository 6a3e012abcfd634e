package logs

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func written(t *testing.T, text string) *Writer {
	t.Helper()
	w, err := Create(filepath.Join(t.TempDir(), "0.log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Copy("stdout", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return w
}

func read(t *testing.T, w *Writer, options Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Read(context.Background(), w.Path(), nil, options, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	long := strings.Repeat("x", 3*pieceSize+5)
	for _, text := range []string{"", "one\ntwo\n", "no end of line", long + "\nafter\n", "a b c\n\n d\n"} {
		if got := read(t, written(t, text), Options{}); got != text {
			t.Errorf("read %d bytes, want %d: %.40q", len(got), len(text), got)
		}
	}
}

func TestTailGivesWholeLines(t *testing.T) {
	long := strings.Repeat("x", 2*pieceSize)
	w := written(t, "one\ntwo\n"+long+"\nthree\n")
	for lines, want := range map[int]string{0: "", 1: "three\n", 2: long + "\nthree\n", 3: "two\n" + long + "\nthree\n", 9: "one\ntwo\n" + long + "\nthree\n"} {
		if got := read(t, w, Options{Tail: &lines}); got != want {
			t.Errorf("tail %d gives %d bytes, want %d", lines, len(got), len(want))
		}
	}
}

func TestSinceTimestampsAndLimit(t *testing.T) {
	w := written(t, "old\n")
	time.Sleep(5 * time.Millisecond)
	since := time.Now()
	if err := w.Copy("stderr", strings.NewReader("new\n")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, w, Options{Since: since}); got != "new\n" {
		t.Errorf("since gives %q, want the new line only", got)
	}
	if got := read(t, w, Options{LimitBytes: 5}); got != "old\nn" {
		t.Errorf("5 bytes are %q", got)
	}
	at, text, _ := strings.Cut(read(t, w, Options{Since: since, Timestamps: true}), " ")
	if _, err := time.Parse(time.RFC3339Nano, at); err != nil || text != "new\n" {
		t.Errorf("%q %q: %v", at, text, err)
	}
}

func TestFollowSeesWhatComesAndEndsWithTheWriter(t *testing.T) {
	w := written(t, "first\n")
	reader, out := io.Pipe()
	go func() { out.CloseWithError(Read(context.Background(), w.Path(), w, Options{Follow: true}, out)) }()
	buffer := make([]byte, 64)
	for _, text := range []string{"first\n", "second\n", "third\n"} {
		if text != "first\n" {
			if err := w.Copy("stdout", strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
		n, err := reader.Read(buffer)
		if string(buffer[:n]) != text || err != nil {
			t.Fatalf("followed %q, %v; want %q", buffer[:n], err, text)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(reader); len(rest) != 0 || err != nil {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

func TestLogsAreBoundedAndFollowedOverARotation(t *testing.T) {
	w := written(t, "")
	reader, out := io.Pipe()
	go func() { out.CloseWithError(Read(context.Background(), w.Path(), w, Options{Follow: true}, out)) }()
	line := strings.Repeat("x", 8000) + "\n"
	total := 3 * MaxSize / len(line)
	counted := make(chan int)
	go func() {
		count := 0
		buffer := make([]byte, 64<<10)
		for {
			n, err := reader.Read(buffer)
			count += bytes.Count(buffer[:n], []byte{'\n'})
			if err != nil {
				counted <- count
				return
			}
		}
	}()
	for range total {
		if err := w.Copy("stdout", strings.NewReader(line)); err != nil {
			t.Fatal(err)
		}
	}
	_ = w.Close()
	if got := <-counted; got < total/3 {
		t.Errorf("followed %d of %d lines", got, total)
	}
	for _, path := range []string{w.Path(), rotated(w.Path())} {
		if info, err := os.Stat(path); err != nil || info.Size() > MaxSize || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
}
