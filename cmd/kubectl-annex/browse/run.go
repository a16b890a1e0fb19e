package browse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/annex-dev/annex/cmd/kubectl-annex/tree"
)

// Control sequences of terminals: another screen and back, and a screen without anything.
const (
	otherScreen, ownScreen = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
	clearScreen            = "\x1b[H\x1b[2J"
)

// ErrNoTerminal means that input or output is not a terminal.
var ErrNoTerminal = errors.New("--interactive needs a terminal")

// loaded are the details of a workspace.
type loaded struct {
	node  *tree.Node
	lines []string
}

// Run shows b until the user has chosen a workspace, which it returns, or nil if the user quits or ctx ends.
func Run(ctx context.Context, in io.Reader, out io.Writer, b *Browser, details Details) (*tree.Node, error) {
	input, isInput := in.(*os.File)
	output, isOutput := out.(*os.File)
	if !isInput || !isOutput || !term.IsTerminal(int(input.Fd())) || !term.IsTerminal(int(output.Fd())) {
		return nil, ErrNoTerminal
	}
	state, err := term.MakeRaw(int(input.Fd()))
	if err != nil {
		return nil, fmt.Errorf("using the terminal: %w", err)
	}
	fmt.Fprint(output, otherScreen)
	defer func() {
		fmt.Fprint(output, ownScreen)
		_ = term.Restore(int(input.Fd()), state)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan []byte)
	go read(ctx, input, sent)
	news := make(chan loaded)
	for {
		b.load(ctx, details, news)
		width, height, err := term.GetSize(int(output.Fd()))
		if err != nil {
			return nil, fmt.Errorf("using the terminal: %w", err)
		}
		fmt.Fprint(output, clearScreen+strings.Join(b.View(ctx, width, height), "\r\n"))
		select {
		case <-ctx.Done():
			return nil, nil //nolint:nilnil // nothing was chosen
		case l := <-news:
			b.details[l.node] = l.lines
		case bytes, more := <-sent:
			if !more {
				return nil, nil //nolint:nilnil // the terminal is gone
			}
			for _, key := range ParseKeys(bytes) {
				switch b.Press(ctx, key) {
				case Choose:
					return b.Selected(ctx), nil
				case Quit:
					return nil, nil //nolint:nilnil // nothing was chosen
				}
			}
		}
	}
}

// load begins to load the details of the selected workspace, once.
func (b *Browser) load(ctx context.Context, details Details, news chan<- loaded) {
	node := b.Selected(ctx)
	if _, began := b.details[node]; began || node.Path.Empty() || node.Mounted() {
		return
	}
	b.details[node] = []string{node.Path.String(), "loading"}
	go func() {
		lines := append([]string{node.Path.String()}, details(ctx, node.Path)...)
		select {
		case news <- loaded{node, lines}:
		case <-ctx.Done():
		}
	}()
}

// read sends what is typed. It ends with the terminal, or at the first key after ctx has ended.
func read(ctx context.Context, in io.Reader, sent chan<- []byte) {
	defer close(sent)
	for {
		buffer := make([]byte, 64)
		n, err := in.Read(buffer)
		if err != nil {
			return
		}
		select {
		case sent <- buffer[:n]:
		case <-ctx.Done():
			return
		}
	}
}
