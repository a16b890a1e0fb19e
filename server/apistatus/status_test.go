package apistatus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/scheme"
)

func code(err error) int32 {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}

func TestOf(t *testing.T) {
	unavailable := apierrors.NewServiceUnavailable("etcd elects a leader")
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, "x")
	for name, tc := range map[string]struct {
		err              error
		status, internal int32
	}{
		"unavailable":         {unavailable, 503, 503},
		"unavailable, deeper": {fmt.Errorf("reading: %w", fmt.Errorf("listing: %w", unavailable)), 503, 503},
		"one of several":      {errors.Join(errors.New("x"), fmt.Errorf("reading: %w", unavailable)), 503, 503},
		"a timeout":           {fmt.Errorf("reading: %w", apierrors.NewTimeoutError("too long", 1)), 504, 504},
		"too many":            {fmt.Errorf("reading: %w", apierrors.NewTooManyRequests("slowly", 1)), 429, 429},
		"the end of time":     {fmt.Errorf("reading: %w", context.DeadlineExceeded), 504, 504},
		"a client that left":  {fmt.Errorf("reading: %w", context.Canceled), 504, 504},
		"a defect":            {errors.New("defect"), 0, 500},
		// What was not found on the way is not what the client asked for.
		"something missing on the way": {fmt.Errorf("reading: %w", missing), 404, 500},
	} {
		t.Run(name, func(t *testing.T) {
			if got := code(Of(tc.err)); got != tc.status {
				t.Errorf("Of gives %d, want %d", got, tc.status)
			}
			if got := code(Internal(tc.err)); got != tc.internal {
				t.Errorf("Internal gives %d, want %d", got, tc.internal)
			}
		})
	}
	if Of(nil) != nil {
		t.Error("no error became one")
	}
	if deep := fmt.Errorf("reading: %w", missing); !errors.Is(Of(deep), deep) {
		t.Error("an error that is none of ours was changed")
	}
}

// failing is an admission plugin that cannot read what it needs.
type failing struct{ *admission.Handler }

func (failing) Admit(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	return fmt.Errorf("finding the path: %w", apierrors.NewServiceUnavailable("etcd is away"))
}

func (f failing) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	return f.Admit(ctx, a, o)
}

func TestAdmission(t *testing.T) {
	chain := Admission(failing{admission.NewHandler(admission.Create)})
	if !chain.Handles(admission.Create) || chain.Handles(admission.Delete) {
		t.Error("it handles other operations than the chain")
	}
	// The stock handlers look at the outermost error.
	for _, err := range []error{
		chain.(admission.MutationInterface).Admit(t.Context(), nil, nil), chain.(admission.ValidationInterface).Validate(t.Context(), nil, nil),
	} {
		if status, ok := err.(apierrors.APIStatus); !ok || status.Status().Code != http.StatusServiceUnavailable {
			t.Errorf("got %v, want the status itself", err)
		}
	}
}

func TestWithUndecided(t *testing.T) {
	for name, tc := range map[string]struct {
		undecided bool
		code      int
		want      int
		body      string
	}{
		"not decided":                {true, http.StatusInternalServerError, http.StatusServiceUnavailable, `"reason":"ServiceUnavailable"`},
		"a defect":                   {false, http.StatusInternalServerError, http.StatusInternalServerError, "words"},
		"not authenticated":          {true, http.StatusUnauthorized, http.StatusServiceUnavailable, `"reason":"ServiceUnavailable"`},
		"bad credentials":            {false, http.StatusUnauthorized, http.StatusUnauthorized, "words"},
		"allowed by another half":    {true, http.StatusOK, http.StatusOK, "words"},
		"refused by something later": {true, http.StatusForbidden, http.StatusForbidden, "words"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(WithUndecided(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tc.undecided {
					Undecided(r.Context())
				}
				http.Error(w, "words", tc.code)
			}), scheme.Codecs))
			defer server.Close()
			response, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tc.want || !strings.Contains(string(body), tc.body) {
				t.Errorf("got %s, %s", response.Status, body)
			}
			if replaced := tc.want == http.StatusServiceUnavailable; replaced &&
				(response.Header.Get("Retry-After") == "" || response.Header.Get("Content-Type") != "application/json" || strings.Contains(string(body), "words")) {
				t.Errorf("got %v, %s", response.Header, body)
			}
		})
	}
	Undecided(t.Context()) // of no request: nothing to note
}
