package replication

import (
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

func TestParse(t *testing.T) {
	for below, want := range map[string]struct {
		cluster logicalcluster.Name
		slice   string
		target  logicalcluster.Path
		rest    string
		refused func(error) bool
	}{
		"2f8kq1z0c7a9x3bd/flavors/clusters/8d1m3q7k2v5n9x4c/apis/example.com/v1/flavors": {"2f8kq1z0c7a9x3bd", "flavors", "8d1m3q7k2v5n9x4c", "/apis/example.com/v1/flavors", nil},
		"2f8kq1z0c7a9x3bd/flavors/clusters/*/apis":                                       {"2f8kq1z0c7a9x3bd", "flavors", "*", "/apis", nil},
		"2f8kq1z0c7a9x3bd/flavors/clusters/8d1m3q7k2v5n9x4c":                             {"2f8kq1z0c7a9x3bd", "flavors", "8d1m3q7k2v5n9x4c", "", nil},
		"":                                 {refused: apierrors.IsNotFound},
		"2f8kq1z0c7a9x3bd/flavors/apis":    {refused: apierrors.IsNotFound},
		"2f8kq1z0c7a9x3bd/flavors/x/y/api": {refused: apierrors.IsNotFound},
		"root:org/flavors/clusters/8d1m3q7k2v5n9x4c/api":            {refused: apierrors.IsBadRequest},
		"*/flavors/clusters/8d1m3q7k2v5n9x4c/api":                   {refused: apierrors.IsBadRequest},
		"2f8kq1z0c7a9x3bd/flavors/clusters/root:org/api":            {refused: apierrors.IsBadRequest},
		"2f8kq1z0c7a9x3bd/a%2Fb/clusters/8d1m3q7k2v5n9x4c/api":      {refused: apierrors.IsBadRequest},
		"2f8kq1z0c7a9x3bd/%zz/clusters/8d1m3q7k2v5n9x4c/api":        {refused: apierrors.IsBadRequest},
		"2f8kq1z0c7a9x3bd//clusters/8d1m3q7k2v5n9x4c/api":           {refused: apierrors.IsBadRequest},
		"2f8kq1z0c7a9x3bd/flavors/clusters/..%2Froot/apis/a/v1/bbb": {refused: apierrors.IsBadRequest},
	} {
		got, err := (&Endpoint{}).Parse(below)
		switch {
		case want.refused != nil:
			if !want.refused(err) {
				t.Errorf("%s: %v", below, err)
			}
		case err != nil || got != virtual.Request{Endpoint: virtual.Endpoint{Cluster: want.cluster, Name: want.slice}, Target: want.target, Rest: want.rest}:
			t.Errorf("%s: %+v, %v", below, got, err)
		}
	}
}

func TestResumes(t *testing.T) {
	for url, expired := range map[string]bool{
		"/x?resourceVersion=6": true,
		"/x?resourceVersion=7": false,
		"/x?resourceVersion=0": false,
		"/x":                   false,
		"/x?resourceVersion=6&sendInitialEvents=true": false,
		"/x?resourceVersion=odd":                      false,
	} {
		err := resumes(httptest.NewRequest("GET", url, nil), &genericapirequest.RequestInfo{Verb: "watch"}, 7)
		if expired != apierrors.IsResourceExpired(err) || expired != (err != nil) {
			t.Errorf("a watch of %s: %v", url, err)
		}
		if err := resumes(httptest.NewRequest("GET", url, nil), &genericapirequest.RequestInfo{Verb: "list"}, 7); err != nil {
			t.Errorf("a list of %s: %v", url, err)
		}
	}
}
