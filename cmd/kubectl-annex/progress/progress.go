package progress

import (
	"fmt"
	"io"
	"sync"
	"time"

	"k8s.io/cli-runtime/pkg/printers"
)

const (
	// patience is how long nothing is said.
	patience = time.Second
	// onTerminal and inLog are the pauses between two messages.
	onTerminal = 200 * time.Millisecond
	inLog      = 10 * time.Second
)

// Line tells what a command waits for. It is safe for concurrent use.
type Line struct {
	out      io.Writer
	terminal bool
	began    time.Time
	stop     chan struct{}
	stopped  sync.WaitGroup

	// mu guards the rest, and what is on the terminal.
	mu    sync.Mutex
	text  string
	drawn int
}

// Start begins to tell on out that text is being waited for, and for how long. Call Stop.
func Start(out io.Writer, text string) *Line {
	l := &Line{out: out, terminal: printers.IsTerminal(out), began: time.Now(), stop: make(chan struct{}), text: text}
	l.stopped.Go(l.run)
	return l
}

// Say replaces the text.
func (l *Line) Say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = fmt.Sprintf(format, args...)
}

// Above calls write, which writes lines of its own, while nothing is on the terminal.
func (l *Line) Above(write func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	write()
}

// Stop ends it and removes it from a terminal.
func (l *Line) Stop() {
	close(l.stop)
	l.stopped.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

// clear removes the line from a terminal. The caller holds mu.
func (l *Line) clear() {
	if l.drawn > 0 {
		fmt.Fprintf(l.out, "\r%*s\r", l.drawn, "")
		l.drawn = 0
	}
}

func (l *Line) run() {
	pause := inLog
	if l.terminal {
		pause = onTerminal
	}
	for next := patience; ; next = pause {
		select {
		case <-l.stop:
			return
		case <-time.After(next):
			l.show()
		}
	}
}

func (l *Line) show() {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf("%s (%s)", l.text, time.Since(l.began).Truncate(time.Second))
	if !l.terminal {
		fmt.Fprintln(l.out, text)
		return
	}
	fmt.Fprintf(l.out, "\r%-*s", l.drawn, text)
	l.drawn = max(l.drawn, len(text))
}
