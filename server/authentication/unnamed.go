package authentication

import (
	"net/http"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/anonymous"

	"github.com/annex-dev/annex/server/authentication/jwt"
)

// unnamed accepts requests without credentials as system:anonymous. The configuration of the issuers decides for which paths if it says
// something about that. These are paths inside a workspace, such as /version, since the front door removes the rest.
type unnamed struct {
	// otherwise is what counts if issuers is nil or its configuration does not decide.
	otherwise bool
	issuers   *jwt.Issuers
}

// AuthenticateRequest implements authenticator.Request.
func (u *unnamed) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	if u.issuers != nil {
		if configured := u.issuers.Anonymous(); configured != nil {
			// A TokenReview authenticates a request that has no URL.
			if !configured.Enabled || req.URL == nil {
				return nil, false, nil
			}
			return anonymous.NewAuthenticator(configured.Conditions).AuthenticateRequest(req)
		}
	}
	if !u.otherwise {
		return nil, false, nil
	}
	return anonymous.NewAuthenticator(nil).AuthenticateRequest(req)
}
