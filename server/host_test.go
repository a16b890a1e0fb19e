package server

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSparingHost(t *testing.T) {
	fault := "gone"
	for name, tc := range map[string]struct {
		host        *Host
		fault       *string
		url         string
		wantQuery   string
		wantWarning bool
	}{
		"alone":             {nil, nil, "/readyz?verbose", "verbose", false},
		"never asked":       {&Host{}, nil, "/readyz", "", false},
		"reached":           {&Host{Reach: func(context.Context) error { return nil }}, nil, "/readyz", "exclude=host", false},
		"gone":              {&Host{Reach: func(context.Context) error { return errors.New(fault) }}, &fault, "/readyz?exclude=x", "exclude=x&exclude=host", true},
		"gone, asked for":   {&Host{Reach: func(context.Context) error { return errors.New(fault) }}, &fault, "/readyz/host", "", false},
		"gone, while alive": {&Host{Reach: func(context.Context) error { return errors.New(fault) }}, &fault, "/livez", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			health := newHostHealth(tc.host)
			health.fault.Store(tc.fault)
			recorder := httptest.NewRecorder()
			got := health.sparing(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, tc.url, nil))
			if got.URL.RawQuery != tc.wantQuery {
				t.Errorf("query %q, want %q", got.URL.RawQuery, tc.wantQuery)
			}
			if warned := strings.Contains(recorder.Header().Get("Warning"), fault); warned != tc.wantWarning {
				t.Errorf("Warning %q", recorder.Header().Get("Warning"))
			}
		})
	}
}
