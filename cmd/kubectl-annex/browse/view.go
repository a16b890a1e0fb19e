package browse

import (
	"context"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"
)

// help is the last line of the screen.
const help = "up/down move   right/left open, close   enter switch   q quit"

// View returns the lines of a screen: the tree, details of the selected workspace, and help. No line is wider than width.
func (b *Browser) View(ctx context.Context, width, height int) []string {
	rows := b.rows(ctx)
	details := append([]string{""}, b.details[rows[b.cursor].node]...)
	// The tree has at least one line, and the help two.
	details = details[:max(0, min(len(details), height/2, height-3))]
	room := max(height-len(details)-2, 1)
	// The cursor stays visible.
	first := max(0, min(b.cursor-room/2, len(rows)-room))
	var lines []string
	for i := first; i < min(first+room, len(rows)); i++ {
		lines = append(lines, b.line(ctx, rows[i], i == b.cursor))
	}
	lines = append(append(lines, details...), "", help)
	for i, line := range lines {
		// Parts can come from other users, so they must not control the terminal.
		lines[i] = cut(printers.EscapeTerminal(line), width)
	}
	return lines
}

func (b *Browser) line(ctx context.Context, r row, selected bool) string {
	pointer, sign := "  ", "  "
	if selected {
		pointer = "> "
	}
	switch {
	case r.node.Mounted():
		sign = "m "
	case !b.open[r.node]:
		sign = "+ "
	case b.hasChildren(ctx, r.node):
		sign = "- "
	}
	return pointer + strings.Repeat("  ", r.depth) + sign + r.node.Name
}

func cut(line string, width int) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:max(width, 0)])
	}
	return line
}
