package kubelet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// servicesChanged makes [network.run] look at all Services again.
func (n *network) servicesChanged(any) {
	select {
	case n.changed <- struct{}{}:
	default: // it will look anyway
	}
}

// run listens in the node's network wherever a Service has an address, so that
// pods reach Services.
func (n *network) run() {
	for {
		select {
		case <-n.kubelet.ctx.Done():
			return
		case <-n.changed:
		}
		n.listenForServices(n.kubelet.ctx)
	}
}

func (n *network) listenForServices(ctx context.Context) {
	wanted := map[string]bool{}
	for _, service := range list[*corev1.Service](n.kubelet.stores.services, "") {
		n.refuse(service)
		address, err := netip.ParseAddr(service.Spec.ClusterIP)
		if err != nil {
			continue // headless, or ExternalName
		}
		for _, port := range service.Spec.Ports {
			if port.Protocol == corev1.ProtocolTCP {
				wanted[netip.AddrPortFrom(address, uint16(port.Port)).String()] = true
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for address, listener := range n.listeners {
		if !wanted[address] {
			_ = listener.Close()
			delete(n.listeners, address)
		}
	}
	for address := range wanted {
		if n.listeners[address] != nil || n.stopListening {
			continue
		}
		listener, err := n.kubelet.node.Listen(ctx, address)
		if err != nil {
			klog.FromContext(ctx).Error(err, "Pods will not reach a Service", "address", address)
			continue
		}
		n.listeners[address] = listener
		n.connections.Go(func() {
			n.accept(listener, func(ctx context.Context) (net.Conn, error) {
				return n.dialService(ctx, netip.MustParseAddrPort(address))
			})
		})
	}
}

// refuse reports once what a Service wants and this node has not.
func (n *network) refuse(service *corev1.Service) {
	var wants []string
	if service.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		wants = append(wants, "sessionAffinity ClientIP")
	}
	if service.Spec.Type == corev1.ServiceTypeNodePort || service.Spec.Type == corev1.ServiceTypeLoadBalancer {
		wants = append(wants, "type "+string(service.Spec.Type)+" (it is reached at its cluster IP only)")
	}
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolTCP {
			wants = append(wants, fmt.Sprintf("protocol %s of port %d", port.Protocol, port.Port))
		}
	}
	text := strings.Join(wants, ", ")
	key := string(service.UID)
	if n.refused[key] != text {
		n.refused[key] = text
		n.kubelet.events.Event(service, corev1.EventTypeWarning, "Unsupported", "this node has no "+text)
	}
}
