package picture

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestTerminal_IsXMLWithTheText(t *testing.T) {
	drawn := Terminal("a <title>", "$ echo '<&>'\n<&>\n\nA   B\n")
	var text strings.Builder
	for decoder := xml.NewDecoder(bytes.NewReader(drawn)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, drawn)
		}
		if chars, ok := token.(xml.CharData); ok {
			text.Write(chars)
		}
	}
	for _, want := range []string{"$ echo '<&>'\n", "\n<&>\n", "A\u00a0\u00a0 B"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the picture does not contain %q:\n%s", want, drawn)
		}
	}
	if !bytes.Equal(drawn, Terminal("a <title>", "$ echo '<&>'\n<&>\n\nA   B")) {
		t.Error("the same text has another picture")
	}
}

func TestTerminal_LongLinesFit(t *testing.T) {
	narrow, wide := Terminal("", strings.Repeat("x", 60)), Terminal("", strings.Repeat("ä", 120))
	for drawn, want := range map[string]string{string(narrow): `width="537"`, string(wide): `width="1043"`} {
		if !strings.Contains(drawn, want) {
			t.Errorf("the picture lacks %s:\n%s", want, drawn)
		}
	}
}
