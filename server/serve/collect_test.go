package serve

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// counting counts writes.
type counting struct {
	http.ResponseWriter
	writes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes++
	return c.ResponseWriter.Write(p)
}

func TestCollect_SendsManySmallWritesTogether(t *testing.T) {
	recorder := httptest.NewRecorder()
	w := &counting{ResponseWriter: recorder}
	want := &bytes.Buffer{}
	collect(w, func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusCreated)
		for i := range 3 * together / 100 {
			line := strings.Repeat(string(rune('a'+i%26)), 100)
			want.WriteString(line)
			if n, err := io.WriteString(w, line); err != nil || n != 100 {
				t.Fatalf("%d, %v", n, err)
			}
		}
	})
	if recorder.Code != http.StatusCreated || !bytes.Equal(recorder.Body.Bytes(), want.Bytes()) {
		t.Errorf("code %d, %d bytes; want %d", recorder.Code, recorder.Body.Len(), want.Len())
	}
	if w.writes > 4 {
		t.Errorf("%d writes", w.writes)
	}
}

// The next answer must not begin with what was left of one that failed.
func TestCollect_APanicSendsNoMore(t *testing.T) {
	broken := httptest.NewRecorder()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is lost")
			}
		}()
		collect(broken, func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"items":[`)
			panic(http.ErrAbortHandler)
		})
	}()
	if broken.Body.Len() != 0 {
		t.Errorf("sent %q", broken.Body)
	}
	for range 10 {
		next := httptest.NewRecorder()
		collect(next, func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") })
		if next.Body.String() != "{}" {
			t.Fatalf("sent %q", next.Body)
		}
	}
}

func TestCollect_FlushSendsAtOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		collect(w, func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
	}))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := make([]byte, len("first"))
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "first" {
		t.Errorf("%q, %v", got, err)
	}
}
