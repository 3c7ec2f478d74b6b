#include "adapters/sim/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define DAY_S (24L * 3600L)

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
    const unsigned char *in, unsigned int in_bytes, void *context)
{
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    static const unsigned char one[] = "\x08http/1.1";
    const bool *h2 = context;
    unsigned char *chosen = NULL;
    (void)ssl;
    int found = SSL_select_next_proto(&chosen, out_bytes, *h2 ? both : one,
        (unsigned int)(*h2 ? sizeof(both) : sizeof(one)) - 1, in, in_bytes);
    if (found != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void openssl_reason(char *out, size_t bytes)
{
    unsigned long code = ERR_get_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    snprintf(out, bytes, "%s", text == NULL ? "no reason given" : text);
    ERR_clear_error();
}

static int version_of(const char *text)
{
    return strcmp(text, "1.2") == 0   ? TLS1_2_VERSION
           : strcmp(text, "1.3") == 0 ? TLS1_3_VERSION
                                      : 0;
}

SSL_CTX *adp_sim_tls_server(const char *certificate, const char *key, const char *min_version,
    const char *max_version, bool h2, struct adp_sim_error *error)
{
    static const bool yes = true, no = false;
    char reason[128];
    int min = version_of(min_version), max = version_of(max_version);

    if (min == 0 || max == 0 || min > max) {
        snprintf(error->text, sizeof(error->text),
            "TLS versions \"%.16s\" to \"%.16s\" are not a range of 1.2 and 1.3", min_version,
            max_version);
        return NULL;
    }
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    LS_CHECK(tls != NULL);
    SSL_CTX_set_min_proto_version(tls, min);
    SSL_CTX_set_max_proto_version(tls, max);
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(
        tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_session_id_context(tls, (const unsigned char *)"brokersim", 9);
    SSL_CTX_set_alpn_select_cb(tls, choose_h2, (void *)(uintptr_t)(h2 ? &yes : &no));
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1) {
        openssl_reason(reason, sizeof(reason));
        snprintf(error->text, sizeof(error->text),
            "tls.certificate: cannot use %.200s (%s); lockstep-brokersim --make-certs DIR makes "
            "one",
            certificate, reason);
    } else if (SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1 ||
               SSL_CTX_check_private_key(tls) != 1) {
        openssl_reason(reason, sizeof(reason));
        snprintf(error->text, sizeof(error->text),
            "tls.key: cannot use %.200s with that certificate (%s)", key, reason);
    } else {
        return tls;
    }
    SSL_CTX_free(tls);
    return NULL;
}

/* ---- certificates
 * -----------------------------------------------------------------------------------------------
 */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static void identity_free(struct identity *identity)
{
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    *identity = (struct identity){0};
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    LS_CHECK(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* Makes a certificate; issuer NULL makes an authority that signs itself. */
static struct identity make_identity(const char *common_name, const char *alternative_names,
    bool rsa, long from_s, long to_s, const struct identity *issuer)
{
    struct identity made = {0};
    unsigned char serial[16];

    made.key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    made.certificate = X509_new();
    LS_CHECK(made.key != NULL && made.certificate != NULL);
    X509_set_version(made.certificate, X509_VERSION_3);
    LS_CHECK(RAND_bytes(serial, sizeof(serial)) == 1);
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);
    LS_CHECK(number != NULL &&
             BN_to_ASN1_INTEGER(number, X509_get_serialNumber(made.certificate)) != NULL);
    BN_free(number);
    X509_gmtime_adj(X509_getm_notBefore(made.certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(made.certificate), to_s);
    X509_set_pubkey(made.certificate, made.key);
    X509_NAME *name = X509_get_subject_name(made.certificate);
    X509_NAME_add_entry_by_txt(
        name, "O", MBSTRING_ASC, (const unsigned char *)"Lockstep simulated broker", -1, -1, 0);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
    X509 *signer = issuer == NULL ? made.certificate : issuer->certificate;
    X509_set_issuer_name(made.certificate, X509_get_subject_name(signer));
    if (issuer == NULL) {
        add_extension(made.certificate, signer, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(made.certificate, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        add_extension(made.certificate, signer, NID_basic_constraints, "critical,CA:FALSE");
        add_extension(made.certificate, signer, NID_key_usage, "critical,digitalSignature");
        add_extension(made.certificate, signer, NID_ext_key_usage, "serverAuth");
        add_extension(made.certificate, signer, NID_subject_alt_name, alternative_names);
    }
    add_extension(made.certificate, signer, NID_subject_key_identifier, "hash");
    if (issuer != NULL)
        add_extension(made.certificate, signer, NID_authority_key_identifier, "keyid:always");
    LS_CHECK(
        X509_sign(made.certificate, issuer == NULL ? made.key : issuer->key, EVP_sha256()) > 0);
    return made;
}

static FILE *create(const char *folder, const char *name, const char *suffix, mode_t mode,
    struct adp_sim_error *error)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (file == NULL) {
        snprintf(
            error->text, sizeof(error->text), "cannot write %.300s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    return file;
}

static bool write_certificate(const char *folder, const char *name, const struct identity *identity,
    struct adp_sim_error *error)
{
    FILE *file = create(folder, name, ".pem", 0644, error);
    if (file == NULL)
        return false;
    bool good = PEM_write_X509(file, identity->certificate) == 1;
    good = fclose(file) == 0 && good;
    if (!good)
        snprintf(error->text, sizeof(error->text), "cannot write %.200s/%s.pem", folder, name);
    return good;
}

static bool write_identity(const char *folder, const char *name, const struct identity *identity,
    struct adp_sim_error *error)
{
    FILE *file = create(folder, name, ".key", 0600, error);
    if (file == NULL)
        return false;
    bool good = PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL) == 1;
    good = fclose(file) == 0 && good;
    if (!good) {
        snprintf(error->text, sizeof(error->text), "cannot write %.200s/%s.key", folder, name);
        return false;
    }
    return write_certificate(folder, name, identity, error);
}

static const char own_names[] = "DNS:localhost,DNS:broker.sim,IP:127.0.0.1,IP:::1";

static const struct recipe {
    const char *file, *common_name, *names;
    bool rsa;
    long from_s, to_s;
    bool stranger; /* signed by the authority that nobody trusts */
} recipes[] = {
    {"server", "broker.sim", own_names, false, -DAY_S, 365 * DAY_S, false},
    {"server-rsa", "broker.sim", own_names, true, -DAY_S, 365 * DAY_S, false},
    {"expired", "broker.sim", own_names, false, -30 * DAY_S, -DAY_S, false},
    {"wrong-host", "other.example", "DNS:other.example", false, -DAY_S, 365 * DAY_S, false},
    {"unknown-ca", "broker.sim", own_names, false, -DAY_S, 365 * DAY_S, true},
};

/* A set is complete when its last file is there: it is written last. */
static bool have_set(const char *folder)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/ca.pem", folder);
    return access(path, R_OK) == 0;
}

bool adp_sim_tls_make_certs(const char *folder, struct adp_sim_error *error)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        snprintf(error->text, sizeof(error->text), "cannot make the folder %.300s: %s", folder,
            strerror(errno));
        return false;
    }
    if (have_set(folder))
        return true;
    struct identity authority =
        make_identity("Lockstep test authority", NULL, false, -60 * DAY_S, 3650 * DAY_S, NULL);
    struct identity stranger =
        make_identity("Authority that nobody trusts", NULL, false, -60 * DAY_S, 3650 * DAY_S, NULL);
    bool good = true;
    for (size_t i = 0; good && i < LS_COUNT_OF(recipes); i++) {
        const struct recipe *recipe = &recipes[i];
        struct identity made = make_identity(recipe->common_name, recipe->names, recipe->rsa,
            recipe->from_s, recipe->to_s, recipe->stranger ? &stranger : &authority);
        good = write_identity(folder, recipe->file, &made, error);
        identity_free(&made);
    }
    good = good && write_certificate(folder, "ca", &authority, error);
    identity_free(&authority);
    identity_free(&stranger);
    return good;
}
