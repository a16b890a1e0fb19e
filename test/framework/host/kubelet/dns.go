package kubelet

import (
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

const (
	clusterDomain = "cluster.local"
	// dnsAddress is the tenth of the Services' range, as usual. Those below the
	// sixteenth are given to Services only when nothing else is left.
	dnsAddress = "10.0.0.10"
	dnsTTL     = 5 // seconds
	maxPacket  = 1232
)

// serveNames answers pods that ask for Services by name, until the socket is
// closed.
func (n *network) serveNames(socket net.PacketConn) {
	buffer := make([]byte, maxPacket)
	for {
		length, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		if answer, err := n.answerName(buffer[:length]); err == nil {
			// Who hears nothing asks again.
			_, _ = socket.WriteTo(answer, from)
		}
	}
}

func (n *network) answerName(query []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return nil, err
	}
	message.Response, message.Authoritative, message.RecursionAvailable = true, true, true
	message.Answers, message.Authorities, message.Additionals = nil, nil, nil
	for _, question := range message.Questions {
		addresses, known := n.resolve(strings.ToLower(question.Name.String()))
		if !known {
			message.RCode = dnsmessage.RCodeNameError
		}
		if question.Type != dnsmessage.TypeA {
			continue // the name is there, without such a record
		}
		for _, address := range addresses {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: dnsTTL},
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	return message.Pack()
}

// resolve returns the addresses of "service.namespace.svc.cluster.local." and of
// "pod.service.namespace.svc.cluster.local.", and whether there is such a name.
func (n *network) resolve(name string) ([]netip.Addr, bool) {
	name, ok := strings.CutSuffix(name, ".svc."+clusterDomain+".")
	if !ok {
		return nil, false
	}
	labels := strings.Split(name, ".")
	if len(labels) < 2 || len(labels) > 3 {
		return nil, false
	}
	pod := ""
	if len(labels) == 3 {
		pod, labels = labels[0], labels[1:]
	}
	service, found := get[*corev1.Service](n.kubelet.stores.services, labels[1], labels[0])
	if !found {
		return nil, false
	}
	if address, err := netip.ParseAddr(service.Spec.ClusterIP); err == nil && pod == "" {
		return []netip.Addr{address}, true
	}
	addresses := n.podAddresses(service, pod)
	return addresses, pod == "" || len(addresses) > 0
}

// podAddresses returns those of the ready pods of a Service, or of the one that
// has the host name.
func (n *network) podAddresses(service *corev1.Service, hostname string) []netip.Addr {
	var found []netip.Addr
	for _, slice := range list[*discoveryv1.EndpointSlice](n.kubelet.stores.slices, service.Namespace) {
		if slice.Labels[discoveryv1.LabelServiceName] != service.Name {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready || hostname != "" && (endpoint.Hostname == nil || *endpoint.Hostname != hostname) {
				continue
			}
			if address, err := netip.ParseAddr(endpoint.Addresses[0]); err == nil && address.Is4() {
				found = append(found, address)
			}
		}
	}
	return found
}
