// Package authentication contains the admission plugin for WorkspaceAuthenticationConfigurations. It checks their issuers as the stock server
// checks those in its configuration file, with the same words, and compiles the expressions. It refuses the server itself as an
// issuer: its tokens are those of ServiceAccounts.
package authentication
