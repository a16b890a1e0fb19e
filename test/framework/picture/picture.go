package picture

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Sizes in pixels. The width of a character is that of common monospace fonts at this size.
const (
	fontSize   = 14
	charWidth  = 8.43
	lineHeight = 19
	margin     = 16
	titleBar   = 30
)

// prompt begins a line that was typed.
const prompt = "$ "

// Terminal returns a picture of a terminal with this text. Lines that begin with "$ " are what was typed.
func Terminal(title, text string) []byte {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	columns := 60
	for _, line := range lines {
		columns = max(columns, utf8.RuneCountInString(line))
	}
	width, height := int(float64(columns)*charWidth)+2*margin, len(lines)*lineHeight+titleBar+2*margin
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-label="%s">`+"\n", width, height, escape(title))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#1d2129"/>`+"\n", width, height)
	for i, color := range []string{"#e06c5b", "#dfb65a", "#6fb36b"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="5" fill="%s"/>`+"\n", margin+4+18*i, titleBar/2+2, color)
	}
	fmt.Fprintf(&b, `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="%d" fill="#d5dae3" xml:space="preserve">`+"\n", fontSize)
	for i, line := range lines {
		if line == "" {
			continue
		}
		typed, style := strings.CutPrefix(line, prompt)
		y := titleBar + margin + i*lineHeight + fontSize
		if style {
			fmt.Fprintf(&b, `<text x="%d" y="%d"><tspan fill="#6fb36b">$</tspan> <tspan fill="#ffffff" font-weight="bold">%s</tspan></text>`+"\n", margin, y, escape(typed))
			continue
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", margin, y, escape(line))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}

// escape returns text for XML. Spaces stay as many as they are in every browser.
func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes all
	return strings.ReplaceAll(b.String(), "  ", "\u00a0\u00a0")
}
