package openapi

import (
	"errors"
	"fmt"
	"io"
	"sort"
)

// Content is a long text of pieces.
type Content struct {
	pieces []string
	// ends says where each piece ends, in bytes from the beginning.
	ends []int64
}

// Size returns the number of bytes.
func (c *Content) Size() int64 {
	if len(c.ends) == 0 {
		return 0
	}
	return c.ends[len(c.ends)-1]
}

// NewReader returns a reader of the content, at its beginning.
func (c *Content) NewReader() io.ReadSeeker { return &reader{content: c} }

func (c *Content) add(pieces ...string) {
	for _, piece := range pieces {
		if piece != "" {
			c.pieces, c.ends = append(c.pieces, piece), append(c.ends, c.Size()+int64(len(piece)))
		}
	}
}

func (c *Content) addEntries(entries []entry) {
	for i, e := range entries {
		if i > 0 {
			c.add(",")
		}
		c.add(quote(e.name), ":")
		for _, piece := range e.text {
			c.add(piece.Value())
		}
	}
}

type reader struct {
	content *Content
	at      int64
}

// Read implements io.Reader.
func (r *reader) Read(into []byte) (n int, err error) {
	if r.at >= r.content.Size() {
		return 0, io.EOF
	}
	first := sort.Search(len(r.content.ends), func(i int) bool { return r.content.ends[i] > r.at })
	for i := first; i < len(r.content.pieces) && n < len(into); i++ {
		piece := r.content.pieces[i]
		copied := copy(into[n:], piece[int64(len(piece))-(r.content.ends[i]-r.at):])
		n, r.at = n+copied, r.at+int64(copied)
	}
	return n, nil
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.content.Size()
	default:
		return 0, fmt.Errorf("seeking from %d", whence)
	}
	if offset < 0 {
		return 0, errors.New("seeking to before the beginning")
	}
	r.at = offset
	return offset, nil
}
