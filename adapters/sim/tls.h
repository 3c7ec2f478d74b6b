/* tls.h: the server side of TLS, and the certificates that demo and tests use. */
#ifndef LS_ADP_SIM_TLS_H
#define LS_ADP_SIM_TLS_H

#include "adapters/sim/net.h"

/* adp_sim_tls_server returns a context for TLS 1.2 and 1.3 that offers h2 and http/1.1, or NULL
 * with a sentence. min_version  "1.2" or "1.3"; max_version likewise h2           false: offer
 * http/1.1 only */
SSL_CTX *adp_sim_tls_server(const char *certificate, const char *key, const char *min_version,
    const char *max_version, bool h2, struct adp_sim_error *error);

/* adp_sim_tls_make_certs writes a private test authority and server certificates into folder, which
 * it makes if it does not exist; existing files are kept when a complete set is there. Names:
 * localhost, broker.sim, 127.0.0.1, ::1.
 *
 *   ca.pem                      the authority that clients are told to trust
 *   server.pem server.key       P-256, good; server-rsa.pem server-rsa.key the same with RSA 2048
 *   expired.pem expired.key     ended yesterday
 *   wrong-host.pem .key         good, but for other.example
 *   unknown-ca.pem .key         signed by an authority that nobody trusts
 *   returns   false with a sentence in error */
LS_MUST_USE bool adp_sim_tls_make_certs(const char *folder, struct adp_sim_error *error);

#endif
