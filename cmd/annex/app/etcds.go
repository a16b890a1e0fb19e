package app

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/etcd"
)

// override says where a part of the data is instead.
type override struct {
	servers []string
	roots   []string
}

// overrides returns the other etcds that --etcd-servers-overrides names, and every fault in it. Values with the same servers are one etcd.
func (o *Options) overrides() ([]override, []error) {
	var all []override
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("--etcd-servers-overrides "+format, args...))
	}
	if len(o.EtcdServersOverrides) > 0 && len(o.EtcdServers) == 0 {
		fault("has no effect without --etcd-servers: the embedded etcd has all data")
	}
	main := slices.Sorted(slices.Values(o.EtcdServers))
	taken := map[string]bool{}
	for _, value := range o.EtcdServersOverrides {
		name, list, ok := strings.Cut(value, "#")
		if !ok || list == "" {
			fault("%q: must be group/resource#servers, such as /secrets#https://etcd-3.example.com:2379;https://etcd-4.example.com:2379", value)
			continue
		}
		root, err := storage.OverrideRoot(name)
		if err != nil {
			fault("%w", err)
			continue
		}
		if taken[root] {
			fault("%q: %s is named twice", value, name)
			continue
		}
		taken[root] = true
		servers := strings.Split(list, ";")
		for _, server := range servers {
			if !isEtcdURL(server) {
				fault("%q: %q must be a URL such as https://etcd-3.example.com:2379", value, server)
			}
		}
		slices.Sort(servers)
		if slices.Equal(servers, main) {
			fault("%q: these are the servers of --etcd-servers", value)
		}
		i := slices.IndexFunc(all, func(other override) bool { return slices.Equal(other.servers, servers) })
		if i < 0 {
			i, all = len(all), append(all, override{servers: servers})
		}
		all[i].roots = append(all[i].roots, root)
	}
	return all, errs
}

func isEtcdURL(server string) bool {
	u, err := url.Parse(server)
	return err == nil && (u.Host != "" || u.Path != "") && slices.Contains([]string{"http", "https", "unix", "unixs"}, u.Scheme)
}

// openOthers returns a client for each of the other etcds. Their requests wait for hold, which may be nil.
func (o *Options) openOthers(hold *etcd.Hold, dial ...grpc.DialOption) ([]storage.Elsewhere, error) {
	others, _ := o.overrides() // valid
	var all []storage.Elsewhere
	for _, other := range others {
		endpoints := o.endpoints()
		endpoints.URLs = other.servers
		client, err := etcd.NewClient(endpoints, hold, dial...)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, storage.Elsewhere{Client: client, Roots: other.roots})
	}
	return all, nil
}

func closeAll(etcds []storage.Elsewhere) {
	for _, e := range etcds {
		_ = e.Client.Close()
	}
}
