package app

import (
	"testing"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

func TestAllInherited(t *testing.T) {
	local, above := annexv1alpha1.AccessGrant{Source: annexv1alpha1.AccessSourceLocal}, annexv1alpha1.AccessGrant{Source: annexv1alpha1.AccessSourceInherited}
	for name, test := range map[string]struct {
		grants []annexv1alpha1.AccessGrant
		want   bool
	}{
		"no binding":             {nil, false},
		"one above":              {[]annexv1alpha1.AccessGrant{above}, true},
		"two above":              {[]annexv1alpha1.AccessGrant{above, above}, true},
		"one here":               {[]annexv1alpha1.AccessGrant{local}, false},
		"one above and one here": {[]annexv1alpha1.AccessGrant{above, local}, false},
	} {
		if got := allInherited(test.grants); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
