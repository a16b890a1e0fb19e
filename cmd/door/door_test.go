package door

import "testing"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		server string
		want   Door
		found  bool
	}{
		{"https://host:6443", Door{Base: "https://host:6443"}, false},
		{"https://host:6443/", Door{Base: "https://host:6443"}, false},
		{"https://rancher/k8s/proxy", Door{Base: "https://rancher/k8s/proxy"}, false},
		{"https://annex/clusters/root", Door{Base: "https://annex", Here: "root"}, true},
		{"https://annex/clusters/root:org/", Door{Base: "https://annex", Here: "root:org"}, true},
		{"https://annex/clusters/*", Door{Base: "https://annex"}, true},
		{"https://annex/services/apiexport/root/widgets", Door{Base: "https://annex"}, true},
		{"https://annex/services/apiexport/root/widgets/clusters/*", Door{Base: "https://annex"}, true},
		{"https://host/apis/tenancy.kcp.io/v1alpha1/workspaces/root:org/proxy", Door{Base: "https://host", Host: true, Here: "root:org"}, true},
		{"https://host/apis/apis.kcp.io/v1alpha1/apiexports/root:p:w/proxy/clusters/*", Door{Base: "https://host", Host: true}, true},
		{"https://host/apis/tenancy.kcp.io/v1alpha1/workspacetypes/root:t/proxy/initializingworkspaces/clusters/*", Door{Base: "https://host", Host: true}, true},
		{"https://annex/services/terminatingworkspaces/root:t/clusters/*", Door{Base: "https://annex"}, true},
		{"https://rancher/k8s/clusters/c-1/apis/tenancy.kcp.io/v1alpha1/workspaces/team/proxy", Door{Base: "https://rancher/k8s/clusters/c-1", Host: true, Here: "team"}, true},
	} {
		got, found, err := Parse(test.server)
		if err != nil || got != test.want || found != test.found {
			t.Errorf("%s: %+v, %v, %v; want %+v, %v", test.server, got, found, err, test.want, test.found)
		}
	}
	for _, bad := range []string{"", "host:6443", "ftp://host", "https://", "https://host?x=y", "https://u:p@host"} {
		if got, _, err := Parse(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
}
