package authentication

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/authenticator"
)

// audience adds the audiences of the workspace to credentials that are for no audience in particular. If a TokenReview asks for others, they
// are not valid.
type audience struct {
	// of returns the audiences of the workspace that a request is for.
	of   func(*http.Request) authenticator.Audiences
	next authenticator.Request
}

// AuthenticateRequest implements authenticator.Request.
func (a *audience) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	wanted, given := authenticator.AudiencesFrom(req.Context())
	if !given {
		return a.next.AuthenticateRequest(req)
	}
	own := a.of(req).Intersect(wanted)
	if len(own) == 0 {
		return nil, false, nil
	}
	resp, ok, err := a.next.AuthenticateRequest(req)
	if err != nil || !ok {
		return nil, false, err
	}
	known := *resp
	known.Audiences = own
	return &known, true, nil
}

// BearerToken returns the token in the Authorization header; false if there is none.
func BearerToken(req *http.Request) (string, bool) {
	scheme, token, found := strings.Cut(strings.TrimSpace(req.Header.Get("Authorization")), " ")
	token, _, _ = strings.Cut(token, " ")
	return token, found && token != "" && strings.EqualFold(scheme, "bearer")
}
