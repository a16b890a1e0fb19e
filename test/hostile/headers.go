package hostile

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// prepareIdentities says in headers that one is somebody else, or somewhere else.
func prepareIdentities(ctx context.Context, s *Scene, _ int) (func(context.Context) error, error) {
	own, err := s.newWorkspace(ctx, "identities", attacker)
	if err != nil {
		return nil, err
	}
	names := []string{
		"X-Remote-User: USERNAME\nX-Remote-Group: system:masters\nX-Remote-Extra-Scopes: cluster:root", "x-remote-user: USERNAME\nx-remote-group: system:kcp:admin", "X_Remote_User: USERNAME\nX_Remote_Group: system:masters",
		"X-Remote-User: USERNAME\nConnection: X-Remote-Group\nX-Remote-Group: system:masters", "X-Remote-Uid: 3\nX-Remote-User: USERNAME", "X-Forwarded-User: USERNAME", "X-Forwarded-Client-Cert: Subject=\"CN=USERNAME,O=system:masters\"",
		"Impersonate-User: USERNAME", "Impersonate-User: USERNAME\nImpersonate-Group: system:masters", "Impersonate-User: USERNAME\nImpersonate-Group: system:kcp:admin",
		"Impersonate-User: USERNAME\nImpersonate-Uid: 3", "Impersonate-User: USERNAME\nImpersonate-Extra-Authentication.kcp.io%2Fscopes: cluster:root", "Impersonate-Group: system:masters",
		"Impersonate-User: system:serviceaccount:kube-system:default", "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("USERNAME:USERNAME")), "Authorization: Negotiate USERNAME",
		"Cookie: token=USERNAME; user=USERNAME", "Proxy-Authorization: Bearer USERNAME", "Sec-Websocket-Protocol: base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("USERNAME")),
		"X-Api-Key: USERNAME", "X-Kcp-Cluster: " + s.victimPath, "X-Cluster: *",
	}
	places := []string{
		"X-Original-Url: /clusters/" + s.victimPath + "/api/v1/secrets", "X-Rewrite-Url: /clusters/" + s.victimPath + "/api/v1/secrets", "X-Forwarded-Prefix: /clusters/" + s.victimPath,
		"X-Forwarded-Uri: /clusters/" + s.victimPath, "X-Forwarded-Host: " + s.victimPath, "Forwarded: for=127.0.0.1;host=" + s.victimPath, "X-Http-Method-Override: DELETE", "X-Method-Override: DELETE",
		"X-Kcp-Logical-Cluster: " + s.victimPath, "X-Kcp-Path: " + s.victimPath, "X-Kubernetes-Cluster: *",
	}
	return func(ctx context.Context) error {
		var faults []error
		send := func(user, path, header string, codes ...int) {
			faults = append(faults, s.refuse(ctx, user, "GET /clusters/"+path+"/api/v1/secrets HTTP/1.1\nUSER\n"+header+"\nConnection: close\n\n", codes...))
		}
		for _, name := range names {
			for _, who := range []string{victim, "kcp-admin", "shard-admin", "system:apiserver", "system:admin"} {
				header := strings.ReplaceAll(name, "USERNAME", who)
				for _, user := range []string{stranger, ""} {
					send(user, s.victimPath, header, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden)
				}
				if !strings.HasPrefix(name, "Authorization") {
					send(attacker, s.victimPath, header, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden)
				}
			}
		}
		for _, place := range places {
			send(attacker, s.victimPath, place, http.StatusForbidden)
			send(attacker, own, place, http.StatusOK)
		}
		return errors.Join(faults...)
	}, nil
}

// prepareHeaderInjection writes line ends and headers into everything that an answer may repeat in its own headers.
func prepareHeaderInjection(ctx context.Context, s *Scene, _ int) (func(context.Context) error, error) {
	own, err := s.newWorkspace(ctx, "injection", attacker)
	if err != nil {
		return nil, err
	}
	const injected = "%0d%0aInjected:%20yes%0d%0a%0d%0a"
	at := "/clusters/" + own
	post := func(path, contentType, body string) string {
		return "POST " + path + " HTTP/1.1\nUSER\nConnection: close\nContent-Type: " + contentType + "\nContent-Length: " + strconv.Itoa(len(body)) + "\n\n" + body
	}
	get := func(path, headers string) string {
		return "GET " + path + " HTTP/1.1\nUSER\nConnection: close\n" + headers + "\n"
	}
	warned := definition("warned.example", "warned", object{"type": "object"})
	version := warned["spec"].(object)["versions"].([]any)[0].(object)
	version["deprecated"], version["deprecationWarning"] = true, "a\r\nInjected: yes"
	requests := []string{
		get(at+injected+"/api", ""), get(at+"/api/v1/namespaces/default/configmaps/"+injected, ""), get(at+"/api/v1/namespaces/"+injected+"/configmaps", ""),
		get(at+"/apis/"+injected+"/v1/things", ""), get(at+"/api/v1/configmaps?limit="+injected, ""), get(at+"/api/v1/configmaps?fieldSelector="+injected, ""),
		get(at+"/api/v1/configmaps?labelSelector="+injected, ""), get(at+"/api/v1/configmaps?continue="+injected, ""), get(at+"/api/v1/configmaps?resourceVersion="+injected, ""),
		get(at+"/api/v1/configmaps?pretty="+injected, ""), get("/services/"+injected+"/clusters/*/api", ""), get("/clusters/"+injected, ""),
		get(at+"/api/v1/configmaps", "Accept: application/json;as=Table;v="+injected+"\n"), get(at+"/api/v1/configmaps", "Audit-Id: a"+injected+"\n"),
		get(at+"/api/v1/configmaps", "Origin: https://injected.example\n"), get(at+"/openapi/v3?hash="+injected, ""), get(at+"/openapi/v2", "If-None-Match: \""+injected+"\"\n"),
		get(at+"//injected.example/../api", ""), get("//injected.example/clusters/"+own+"/api", ""), get(at+"/openapi/v3/apis/apps/v1?hash=//injected.example", ""),
		post(at+configMapsPath+"?dryRun=All&fieldValidation=Warn", "application/json", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"a\r\nInjected: yes\r\n\r\n":"b"}`),
		post(at+configMapsPath+"?dryRun=All&fieldManager="+injected, "application/json", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`),
		post(at+configMapsPath+"?dryRun="+injected, "application/json", `{}`),
		post(at+configMapsPath, "application/json;a="+injected, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a\r\nInjected: yes"}}`),
		post(at+definitionsPath+"?dryRun=All", "application/json", encode(warned)),
	}
	return func(ctx context.Context) error {
		var faults []error
		for _, request := range requests {
			answers, err := s.raw(ctx, attacker, request)
			faults = append(faults, unlessOver(ctx, err))
			if len(answers) > 1 {
				faults = append(faults, fmt.Errorf("%q has %d answers", request, len(answers)))
			}
			for _, a := range answers {
				for name, values := range a.header {
					if name == "Injected" || name == "Access-Control-Allow-Origin" || strings.Contains(name+strings.Join(values, ""), "injected.example") {
						faults = append(faults, fmt.Errorf("%q is answered with %s: %q", request, name, values))
					}
				}
				if a.code >= 300 && a.code < 400 && a.code != http.StatusNotModified {
					faults = append(faults, fmt.Errorf("%q is answered with %d", request, a.code))
				}
			}
		}
		return errors.Join(faults...)
	}, nil
}

// prepareMalformedHTTP sends what two servers in a row might understand in two ways.
func prepareMalformedHTTP(ctx context.Context, s *Scene, _ int) (func(context.Context) error, error) {
	own, err := s.newWorkspace(ctx, "malformed", attacker)
	if err != nil {
		return nil, err
	}
	line := "GET /clusters/" + own + "/api/v1/configmaps HTTP/1.1\n"
	post := "POST /clusters/" + own + configMapsPath + " HTTP/1.1\nUSER\nConnection: close\nContent-Type: application/json\n"
	return func(ctx context.Context) error {
		var faults []error
		for _, text := range []string{
			line + "Connection: close\n\n", line + "USER\nHost: other\nConnection: close\n\n", line + "USER\nConnection: close\nX-A : b\n\n", line + "USER\nConnection: close\nX-A: b\x00c\n\n",
			line + "USER\nConnection: close\nX-A\n\n", line + "USER\nConnection: close\nX\x00A: b\n\n", line + "USER\nConnection: close\nX-A: " + strings.Repeat("x", 2<<20) + "\n\n",
			"GET /clusters/" + own + "/api HTTP/1.1 x\nUSER\n\n", "GET  /clusters/" + own + "/api HTTP/1.1\nUSER\n\n", "\x00\n\n", "nonsense\n\n", "GET\n\n",
			"G\x01T /clusters/" + own + "/api HTTP/1.1\nUSER\n\n", "GET clusters/" + own + "/api HTTP/1.1\nUSER\n\n", "CONNECT 127.0.0.1:22 HTTP/1.1\nUSER\nConnection: close\n\n",
			post + "Content-Length: 2\nContent-Length: 40\n\n{}", post + "Content-Length: -1\n\n{}", post + "Content-Length: +2\n\n{}", post + "Content-Length: 9999999999999999999\n\n{}", post + "Transfer-Encoding: chunked\n\nnonsense\n\n",
			post + "Transfer-Encoding: chunked\n\nffffffffffffffff1\n{}\n0\n\n", post + "Content-Length: 2\nContent-Encoding: gzip\n\n{}", post + "Content-Length: 2\n\n{}",
		} {
			faults = append(faults, s.refuse(ctx, attacker, text))
		}
		for _, encoding := range []string{"chunked, identity", "xchunked", "identity, chunked", "gzip, chunked"} {
			faults = append(faults, s.refuse(ctx, attacker, post+"Transfer-Encoding: "+encoding+"\n\n0\n\n", http.StatusBadRequest, http.StatusNotImplemented))
		}
		for _, method := range []string{"get", "TRACE", "PROPFIND", "PURGE", "PRI"} {
			faults = append(faults, s.refuse(ctx, attacker, method+" /clusters/"+own+"/api/v1/configmaps HTTP/1.1\nUSER\nConnection: close\n\n"))
		}
		return errors.Join(faults...)
	}, nil
}
