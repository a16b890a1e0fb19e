package outbound

import (
	"errors"
	"net/netip"
	"os"
	"strings"
)

// errService is the answer for names of services of the host cluster.
var errService = errors.New("the server does not send requests to services of the cluster that it runs in")

// names decides which names are resolved.
type names struct {
	services bool
	// domains are those of the host cluster below which services have names, such as cluster.local.
	domains []string
}

func newNames(services bool) names {
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		resolver = nil // without it, the usual domain counts
	}
	return names{services: services, domains: clusterDomains(string(resolver))}
}

// clusterDomains returns the domains of a cluster that the search list of a resolver names: it has svc.<domain> for pods.
func clusterDomains(resolver string) []string {
	domains := []string{"cluster.local"}
	for line := range strings.Lines(resolver) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "search" {
			continue
		}
		for _, domain := range fields[1:] {
			if domain, ok := strings.CutPrefix(strings.ToLower(strings.TrimSuffix(domain, ".")), "svc."); ok && domain != "cluster.local" {
				domains = append(domains, domain)
			}
		}
	}
	return domains
}

// absolute returns host as it is resolved: a name as it stands, never completed by the search list of the pod.
func (n names) absolute(host string) (string, error) {
	if _, err := netip.ParseAddr(host); err == nil || n.services {
		return host, nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" {
		return host, nil // the address decides
	}
	if !strings.Contains(name, ".") || strings.HasSuffix(name, ".svc") {
		return "", errService
	}
	for _, domain := range n.domains {
		if strings.HasSuffix(name, "."+domain) {
			return "", errService
		}
	}
	return name + ".", nil
}
